/** CPU time, to tell where a build's seconds go. */
import { readFileSync } from 'node:fs'

/** A tick of /proc's clocks: a hundredth of a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** CPU seconds of the children that have ended, theirs included; 0 where there is no Linux /proc. */
function childrenSeconds(): number {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    // Behind the program's name, which may hold blanks: cutime and cstime, fields 16 and 17 of proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND
  } catch {
    return 0
  }
}

/** CPU seconds, user and system, of this process and of every program that it has waited for. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6 + childrenSeconds()
}
