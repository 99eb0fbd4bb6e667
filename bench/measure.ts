/** Measuring commands for the benchmarks: wall and CPU seconds, peak memory. */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { cpuSeconds } from '../lib/cli/cpu-time.ts'

export type Measured = { seconds: number; cpuSeconds: number; status: number | null }

/** Run a shell command, with standard output to a file where one is named. */
export async function measure(script: string, output?: string): Promise<Measured> {
  const cpu = cpuSeconds()
  const started = performance.now()
  const child = spawn('bash', ['-c', script], {
    stdio: ['ignore', output ? 'pipe' : 'ignore', 'inherit'],
  })
  if (output && child.stdout) await finished(child.stdout.pipe(createWriteStream(output)))
  const status = await new Promise<number | null>((done) => {
    if (child.exitCode !== null) done(child.exitCode)
    else child.on('close', done)
  })
  const seconds = (performance.now() - started) / 1000
  return { seconds, cpuSeconds: cpuSeconds() - cpu, status }
}

/** Memory in MiB of a process and its children, the highest of samples every 50 ms. */
export function watchMemory(pid: number): { peak: () => number } {
  let peak = 0
  const sample = async () => {
    let sum = 0
    const visit = async (process: number) => {
      const smaps = await readFile(`/proc/${process}/smaps_rollup`, 'utf8').catch(() => '')
      sum += Number(/^Pss: +(\d+)/m.exec(smaps)?.[1] ?? 0)
      const children = `/proc/${process}/task/${process}/children`
      const pids = await readFile(children, 'utf8').catch(() => '')
      for (const child of pids.split(' ').filter(Boolean)) await visit(Number(child))
    }
    await visit(pid)
    peak = Math.max(peak, sum / 1024)
  }
  setInterval(() => void sample(), 50).unref()
  return { peak: () => peak }
}

/** Rows as a table with aligned columns. */
export function table(rows: string[][]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  const line = (row: string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  return rows.map(line).join('\n')
}

/** The middle value. */
export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
