/**
 * Which images should be built anew? Compares the newest point release of each vendor with the last build.
 *
 *   ./bin/check-updates
 *   ./bin/check-updates --only 'rocky-*' --output /data/bits --json
 */
import { join, resolve } from 'node:path'
import { distros } from '../distros/all.ts'
import { findRelease } from '../distros/distro.ts'
import { BuildError } from '../lib/cli/errors.ts'
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions, parseList } from '../lib/cli/options.ts'
import { step } from '../lib/cli/progress.ts'
import { cacheDirectory } from '../lib/host/home.ts'
import { INSTALLER_TOOLS, ensureTools } from '../lib/host/tools.ts'
import { columns, fleetOf, selectRows } from '../lib/image/fleet.ts'
import { proxyOption, proxyVariables } from '../lib/image/proxy.ts'
import { checkUpdate, type Update } from '../lib/image/updates.ts'

const command = {
  name: 'check-updates',
  summary: 'Compare what vendors have out with what was built last.',
  words: [],
  more: 'NAME',
  details: [
    'NAME is one of those that "build-images list" prints; none: all that are still supported.',
    'Exit status: 0 all is current, 10 something is to be built (newer upstream, or never built),',
    '1 nothing is, as far as is known, but some vendor could not be asked.',
  ],
  options: {
    only: {
      arg: 'GLOB,...',
      default: '',
      parse: parseList,
      help: "names by pattern, as in 'rocky-*'",
    },
    output: { arg: 'DIR', default: 'bits', help: 'where the builds are' },
    proxy: proxyOption,
    cache: { arg: 'DIR', help: "where vendors' keys are kept (default ~/.cache/hybrid-images)" },
    json: { help: 'print the table as JSON' },
    install: { default: true, help: 'do not install missing host packages: say what is missing' },
    ...commonOptions,
  },
  examples: [
    './bin/check-updates',
    "./bin/check-updates --only 'rocky-*' --output /data/bits",
    './bin/check-updates --json | jq -r \'.[] | select(.state | test("newer|never")) | .name\' | xargs -r ./bin/build-images',
  ],
} as const

/** Vendors asked at the same time. */
const AT_ONCE = 6

await main(command, async ({ options, words }) => {
  const rows = selectRows(fleetOf(distros), words, options.only)
  const today = new Date().toISOString().slice(0, 10)
  const named = words.length > 0 || options.only.length > 0
  const asked = named ? rows : rows.filter(({ endOfLife }) => endOfLife >= today)
  await ensureTools([INSTALLER_TOOLS.curl], { install: options.install })
  const cache = join(resolve(options.cache ?? cacheDirectory()), 'media')
  const fetching = { env: proxyVariables(options.proxy, process.env), report: () => {} }
  const updates: Update[] = []
  const queue = [...asked.entries()]
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [at, row] = next
      const distro = distros.find(({ name }) => name === row.distro)!
      const release = findRelease(distro, row.release)!
      updates[at] = await checkUpdate(distro, release, resolve(options.output), cache, fetching)
    }
  }
  await step('Ask the vendors', () =>
    Promise.all(Array.from({ length: AT_ONCE }, worker)).then(() => {}),
  )
  for (const { name, problem } of updates) if (problem) log.warn(`${name}: ${problem}`)
  if (options.json) console.log(JSON.stringify(updates, undefined, 2))
  else {
    const lines = updates.map(({ name, upstream = '-', built = '-', builtAt, state }) => [
      ...[name, upstream, built, builtAt?.slice(0, 10) ?? '-', state],
    ])
    console.log(columns([['NAME', 'UPSTREAM', 'BUILT', 'ON', 'STATE'], ...lines]))
  }
  const states = updates.map(({ state }) => state)
  if (states.some((state) => state === 'newer upstream' || state === 'never built')) return 10
  const unknown = states.filter((state) => state === 'unknown').length
  if (unknown > 0)
    throw new BuildError(`Cannot ask ${unknown} of ${states.length} vendors: see above`)
  return undefined
})
