/**
 * What can this machine build with, what is missing, and which command brings it?
 *
 *   ./bin/check-host
 *   ./bin/check-host --json
 */
import { distros } from '../distros/all.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions } from '../lib/cli/options.ts'
import { checkHost, hostReport } from '../lib/host/check.ts'
import { readSystem } from '../lib/host/system.ts'

const command = {
  name: 'check-host',
  summary: 'Say what this machine can build with, what is missing, and the command that brings it.',
  words: [],
  details: [
    'Looks only, and changes nothing. KVM is tried, not believed. "slower" is what work goes on without.',
    'Exit status: 0 nothing is missing, 3 something is.',
  ],
  options: {
    json: { help: 'print the rows as JSON' },
    ...commonOptions,
  },
  examples: ['./bin/check-host', './bin/check-host --json >host.json'],
} as const

await main(command, async ({ options }) => {
  const system = await readSystem()
  const checks = await checkHost(system, distros, process.env['TMPDIR'] || '/var/tmp')
  if (options.json) console.log(JSON.stringify(checks, undefined, 2))
  else for (const line of hostReport(checks)) console.log(line)
  return checks.some(({ status }) => status === 'missing') ? 3 : undefined
})
