/** What an address is signed with, as those are that open a file of a store for a while. */
const SIGNED = /([?&][\w-]*(?:token|sig|signature|secret|password|credential|key)=)[^&\s"']+/gi

/**
 * Names and passwords in addresses (`http://me:secret@proxy`) never reach a log. They end with the last `@` in
 * front of the path, as for programs that take an address apart: a password may have one too. Nor do the parts of a
 * query that let somebody in.
 */
export function redact(text: string): string {
  return text.replaceAll(/\b(\w+:\/\/)[^\s/"]+@/g, '$1***@').replaceAll(SIGNED, '$1***')
}
