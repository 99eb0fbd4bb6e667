/** Addresses of this machine's loopback, as a guest behind QEMU's own network reaches them. */

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** The same address, with the gateway that leads to this machine in place of its loopback. */
export function guestAddress(address: string, gateway: string): string {
  const url = new URL(address)
  if (!LOOPBACK.test(url.hostname)) return address
  url.hostname = gateway
  // URL adds a slash to a bare host; what was written without one stays so.
  return address.endsWith('/') ? url.href : url.href.replace(/\/$/, '')
}
