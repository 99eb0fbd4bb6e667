/**
 * Build many images, some at a time: a failed build stops no other, and a table says how each ended.
 *
 *   ./bin/build-images list
 *   ./bin/build-images validate --offline
 *   ./bin/build-images debian-12 debian-13 --jobs 2
 *   ./bin/build-images --only 'rocky-*' --json -- --layout lvm
 */
import { distros } from '../distros/all.ts'
import { resolve } from 'node:path'
import { emit, eventsOption } from '../lib/cli/events.ts'
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions, parseCount, parseList } from '../lib/cli/options.ts'
import {
  buildFleet,
  checkBuilt,
  columns,
  defaultJobs,
  fleetOf,
  selectRows,
} from '../lib/image/fleet.ts'
import { writeFleetIndex } from '../lib/image/fleet-index.ts'
import { checkValid, validateRelease } from '../lib/image/validate.ts'

const command = {
  name: 'build-images',
  summary: 'Build many images, some at a time, and print how each ended.',
  words: [],
  more: 'NAME',
  rest: 'OPTIONS',
  details: [
    'NAME is one of those that "build-images list" prints; none: all. "build-images validate" resolves',
    "every recipe, checks its answers and, unless --offline, whether the vendor's addresses answer.",
    'What follows -- is handed to each create-image command. index.html in the output directory lists all',
    'builds that lie there, with a page of each.',
  ],
  options: {
    only: {
      arg: 'GLOB,...',
      default: '',
      parse: parseList,
      help: "names by pattern, as in 'rocky-*'",
    },
    jobs: { arg: 'N', parse: parseCount, help: 'builds at a time (default: by cores and memory)' },
    output: { arg: 'DIR', default: 'bits', help: 'where images go, below <name>/<stamp>/' },
    offline: { help: 'use the cache alone, no network' },
    matrix: { help: 'print the list as JSON, for the matrix of a CI system' },
    json: { help: 'print the results as JSON, with the seconds of each step' },
    ...eventsOption,
    ...commonOptions,
  },
  examples: [
    './bin/build-images list',
    './bin/build-images validate --offline',
    './bin/build-images debian-12 debian-13 --jobs 2',
    "./bin/build-images --only 'rocky-*,almalinux-9' -- --layout lvm",
    './bin/build-images --matrix',
  ],
} as const

await main(command, async ({ options, words, rest }) => {
  const [verb, ...others] = words
  const isVerb = verb === 'list' || verb === 'validate'
  const rows = selectRows(fleetOf(distros), isVerb ? others : words, options.only)
  if (options.matrix) {
    console.log(JSON.stringify({ include: rows }, undefined, 2))
    return
  }
  if (verb === 'list') {
    if (options.json) console.log(JSON.stringify(rows, undefined, 2))
    else {
      const lines = rows.map(({ name, title, method, endOfLife }) => [
        name,
        title,
        method,
        endOfLife,
      ])
      console.log(columns([['NAME', 'RELEASE', 'METHOD', 'SUPPORTED UNTIL'], ...lines]))
    }
    return
  }
  if (verb === 'validate') {
    const results = []
    for (const { name, distro: of, release } of rows) {
      const distro = distros.find((one) => one.name === of)!
      const problems = await validateRelease(distro, release, !options.offline)
      results.push({ name, problems })
      if (!options.json) console.log([name, ...(problems.length ? problems : ['ok'])].join('\n  '))
    }
    if (options.json) console.log(JSON.stringify(results, undefined, 2))
    checkValid(results)
    return
  }
  const jobs = options.jobs ?? defaultJobs()
  log.info(`Building ${rows.length} images, ${jobs} at a time`)
  const handed = ['--output', options.output, ...(options.offline ? ['--offline'] : []), ...rest]
  const results = await buildFleet(rows, handed, jobs)
  emit({ event: 'result', result: results })
  const dry = rest.includes('--dry-run') || results.every(({ status }) => status === 2)
  if (!dry) log.info(`All builds: ${await writeFleetIndex(results, resolve(options.output))}`)
  if (options.json) console.log(JSON.stringify(results, undefined, 2))
  else {
    const lines = results.map(({ name, seconds, manifest, error }) => [
      name,
      error === undefined ? 'ok' : 'FAILED',
      `${Math.round(seconds)} s`,
      manifest ?? error ?? '',
    ])
    console.log(columns([['NAME', 'RESULT', 'TIME', 'MANIFEST OR REASON'], ...lines]))
  }
  checkBuilt(results)
})
