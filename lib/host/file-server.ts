/** Files of this machine for a guest, by HTTP on loopback: those below one directory, to be read. */
import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join, sep } from 'node:path'
import type { Scope } from '../cli/scope.ts'

/** The file that a request names, or undefined when it is none below the directory. */
async function fileOf(directory: string, url: string): Promise<string | undefined> {
  try {
    const { pathname } = new URL(url, 'http://localhost')
    // Links in the directory may not lead out of it either.
    const path = await realpath(join(directory, decodeURIComponent(pathname)))
    if (!path.startsWith(directory + sep)) return undefined
    return (await stat(path)).isFile() ? path : undefined
  } catch {
    return undefined // not there, or not readable
  }
}

/**
 * Serve a directory until the command ends.
 *
 * @returns the port on 127.0.0.1
 */
export async function serveFiles(directory: string, scope: Scope): Promise<number> {
  const root = await realpath(directory)
  // Loaded here: Node 22 and newer load a client for the web along with it, which every command would wait for.
  const { createServer } = await import('node:http')
  const server = createServer((request, answer) => {
    const readOnly = request.method === 'GET' || request.method === 'HEAD'
    void fileOf(root, request.url ?? '/').then(async (path) => {
      if (!readOnly || path === undefined) {
        answer.writeHead(readOnly ? 404 : 405).end()
        return
      }
      answer.writeHead(200, { 'content-length': (await stat(path)).size })
      if (request.method === 'HEAD') answer.end()
      else
        createReadStream(path)
          .on('error', () => answer.destroy())
          .pipe(answer)
    })
  })
  await new Promise<void>((done, fail) => {
    server.once('error', fail).listen(0, '127.0.0.1', done)
  })
  scope.defer(`Stop serving ${directory}`, async () => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  })
  return (server.address() as AddressInfo).port
}
