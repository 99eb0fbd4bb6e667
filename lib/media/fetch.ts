/**
 * Downloads, by curl: redirects, proxies and TLS are its trade. Ours are whole files: a `.partial`
 * grows over interruptions and attempts, is continued only while the server's file is the same, and
 * gets its name at the end. Digests are for the caller to check.
 */
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'
import { $ } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { makeParents } from '../host/directories.ts'
import { isRefusal, proxyFor } from './proxy.ts'

export type FetchOptions = {
  report?: Report
  /** For http_proxy and the like, on top of the environment. */
  env?: Readonly<Record<string, string>>
  attempts?: number
  /** A transfer that brings nothing for so long is given up, in seconds. */
  stallSeconds?: number
  /** Between attempts, in milliseconds. */
  pauseMs?: number
}

/** curl's exit statuses that another attempt may mend: connection, timeout, cut transfer, TLS. */
const PASSING = new Set([5, 6, 7, 16, 18, 28, 35, 52, 55, 56, 92])
/** The server does not continue where we stopped, or its file has changed. */
const NO_RANGE = new Set([33, 36])
const HTTP_ERROR = 22

/** Words of a command are there for every user of this machine to read. */
const isPrivate = (url: string) => /^\w+:\/\/[^/]*@|\?/.test(url)

/** What curl reads in place of a word. Source: curl(1), "--config". */
const configOf = (url: string) => `url = "${url.replaceAll(/[\\"]/g, '\\$&')}"\n`

const sizeOf = (path: string) =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  )

/** Header fields of the last answer: a redirect's come before. */
function lastHeaders(text: string): Map<string, string> {
  const last =
    text
      .trimEnd()
      .split(/\r?\n\r?\n/)
      .at(-1) ?? ''
  return new Map(
    [...last.matchAll(/^([\w-]+): *(.*?)\r?$/gm)].map(([, name, value]) => [
      name!.toLowerCase(),
      value!,
    ]),
  )
}

/** What identifies the server's file: its strong entity tag, else its date. */
function validatorOf(headers: Map<string, string>): string | undefined {
  const tag = headers.get('etag')
  return tag && !tag.startsWith('W/') ? tag : headers.get('last-modified')
}

/** Bytes of the whole file, by the answer to a whole or a continued request. */
function totalOf(headers: Map<string, string>): number | undefined {
  const range = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
  const total = range ?? headers.get('content-length')
  return total === undefined ? undefined : Number(total)
}

/**
 * Fetch a file.
 *
 * @throws {BuildError} with the address and what happened there; what came is kept for the next time
 */
export async function fetchFile(
  url: string,
  path: string,
  options: FetchOptions = {},
): Promise<void> {
  const { report = () => {}, env = {}, attempts = 5, stallSeconds = 30, pauseMs = 2000 } = options
  const partial = `${path}.partial`
  const validator = `${path}.partial.validator`
  const headers = `${path}.partial.headers`
  await makeParents(dirname(path))
  let said = ''
  let refused = false
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const known = await readFile(validator, 'utf8').catch(() => '')
    if (known === '') await rm(partial, { force: true })
    const have = await sizeOf(partial)
    const resume = have > 0 ? ['--continue-at', String(have), '--header', `If-Range: ${known}`] : []
    const timer = setInterval(() => {
      void Promise.all([sizeOf(partial), readFile(headers, 'utf8').catch(() => '')]).then(
        ([bytes, text]) => {
          const total = totalOf(lastHeaders(text))
          report(total ? bytes / total : undefined, `${Math.floor(bytes / 1024 ** 2)} MiB`)
        },
      )
    }, 1000)
    let outcome
    try {
      const words = [
        ...['curl', '--fail', '--location', '--silent', '--show-error', '--globoff'],
        // A page, a list or a redirect may name any address; none of them is a file of this machine.
        ...['--proto', '=http,https', '--proto-redir', '=http,https'],
        ...['--connect-timeout', String(stallSeconds)],
        ...['--speed-limit', '1', '--speed-time', String(stallSeconds)],
        ...['--dump-header', headers, '--output', partial],
        ...['--write-out', '%{http_connect}'], // what a proxy said of the way to the server
        ...resume,
      ]
      outcome = await $({
        nothrow: true,
        env: { ...env },
        ...(isPrivate(url) && { input: configOf(url) }),
      })`${words} ${isPrivate(url) ? ['--config', '-'] : [url]}`
    } finally {
      clearInterval(timer)
      await rememberValidator(headers, validator)
    }
    const { exitCode, stdout, stderr } = outcome
    refused = exitCode !== 0 && isRefusal(stdout, stderr)
    if (exitCode === 0) {
      await rename(partial, path)
      await rm(validator, { force: true })
      return
    }
    said =
      stderr
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^curl: \(\d+\) /, '') ?? `curl exited ${exitCode}`
    if (NO_RANGE.has(exitCode)) await rm(partial, { force: true })
    else if (refused) break
    else if (exitCode === HTTP_ERROR && !/error: (429|5\d\d)/.test(stderr)) break
    else if (exitCode !== HTTP_ERROR && !PASSING.has(exitCode)) break
    if (attempt < attempts) await delay(pauseMs, undefined, { signal: stopSignal() })
  }
  const proxy = proxyFor(url, { ...process.env, ...env })
  if (proxy === undefined) throw new BuildError(`Cannot fetch ${url}: ${said}`)
  const how = refused ? `the proxy ${proxy} refuses it` : `by way of the proxy ${proxy}`
  throw new BuildError(`Cannot fetch ${url}: ${how}: ${said}`, {
    hint: 'Check --proxy, or name what it is not for in $no_proxy',
  })
}

/** Keep what the next attempt has to name, and only what the server said of a whole file. */
async function rememberValidator(headers: string, validator: string): Promise<void> {
  const text = await readFile(headers, 'utf8').catch(() => '')
  await rm(headers, { force: true })
  const found = validatorOf(lastHeaders(text))
  if (/^HTTP\/\S+ 20[06]/m.test(text) && found !== undefined) await writeFile(validator, found)
}
