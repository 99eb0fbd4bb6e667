/**
 * The metadata service of a virtual machine, on a unix socket.
 *
 * A hypervisor listens on the socket of the guest's second serial port and the service connects to
 * it, as Triton's agent does; clients in the guest come and go on the one line. `listen` instead
 * makes the socket that a client connects to, as inside a zone.
 */
import { createServer, type Socket } from 'node:net'
import { rm } from 'node:fs/promises'
import { connectUnix } from '../host/unix-socket.ts'
import type { Metadata } from './metadata.ts'
import { MetadataSession, type SessionOptions } from './session.ts'

export type MetadataService = {
  /** Ends it; resolves when no client is served any more. */
  close(): Promise<void>
}

function serve(socket: Socket, metadata: Metadata, options: SessionOptions) {
  const session = new MetadataSession(metadata, options)
  socket.on('data', (bytes) => {
    const answer = session.feed(bytes as Buffer)
    if (answer.length > 0) socket.write(answer)
  })
  socket.on('error', () => {}) // the other side went away; there is nobody left to answer
}

/** How long the hypervisor may take to make its socket, in milliseconds. */
const CONNECT_MS = 10_000

/**
 * Serve the metadata on the socket of a machine's serial port, which may not be there yet.
 *
 * @throws {BuildError} when nobody listens there within ten seconds
 */
export async function connectMetadata(
  path: string,
  metadata: Metadata,
  options: SessionOptions = {},
): Promise<MetadataService> {
  const socket = await connectUnix(path, CONNECT_MS)
  serve(socket, metadata, options)
  return {
    async close() {
      socket.destroy()
    },
  }
}

/** Serve the metadata to any number of clients on a socket of our own. */
export async function listenMetadata(
  path: string,
  metadata: Metadata,
  options: SessionOptions = {},
): Promise<MetadataService> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)))
    serve(socket, metadata, options)
  })
  await new Promise<void>((done, fail) => {
    server.once('error', fail).listen(path, done)
  })
  return {
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
      await rm(path, { force: true })
    },
  }
}
