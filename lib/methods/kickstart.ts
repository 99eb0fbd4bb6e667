/**
 * A strict reader of kickstart files: what an installer would stop at in the middle of a build shows here,
 * in seconds. It knows the commands and options that this project's own answers use, for Enterprise Linux
 * 6 to 10, and calls everything else a problem.
 * Source: pykickstart's handlers and its syntax reference, https://pykickstart.readthedocs.io/
 */

export type KickstartProblem = { line: number; what: string }

export type Kickstart = {
  /** Commands as words, in order. */
  commands: { line: number; words: string[] }[]
  packages: string[]
  /** Scripts of %pre and %post. */
  scripts: { section: string; line: number; text: string }[]
  problems: KickstartProblem[]
}

type Rule = {
  /** Options that take a value, as `--name=value`. */
  values?: readonly string[]
  flags?: readonly string[]
  /** Number of words that are no options. */
  words?: [least: number, most: number]
}

/** What a file knows that begins with `#version=RHEL6`, in place of the others. */
const COMMANDS_OF_6: Record<string, Rule | undefined> = {
  authconfig: { flags: ['enableshadow'], values: ['passalgo'] },
  bootloader: { values: ['location', 'driveorder', 'append'] },
  clearpart: { flags: ['all', 'initlabel'], values: ['drives'] },
  eula: undefined,
  network: { values: ['bootproto', 'device', 'onboot'] },
  part: {
    words: [1, 1],
    values: ['fstype', 'ondisk', 'size'],
    flags: ['grow', 'asprimary'],
  },
  zerombr: {},
}

const COMMANDS: Record<string, Rule | undefined> = {
  bootloader: { values: ['location', 'boot-drive', 'timeout', 'append'] },
  cdrom: {},
  cmdline: {},
  eula: { flags: ['agreed'] },
  firewall: { flags: ['enabled'], values: ['service'] },
  firstboot: { flags: ['disable', 'disabled'] },
  ignoredisk: { values: ['only-use'] },
  keyboard: { words: [1, 1] },
  lang: { words: [1, 1] },
  logvol: { words: [1, 1], values: ['vgname', 'name', 'fstype', 'size'], flags: ['grow'] },
  network: { values: ['bootproto', 'device', 'onboot'], flags: ['activate'] },
  part: { words: [1, 1], values: ['fstype', 'onpart', 'size'], flags: ['grow'] },
  poweroff: {},
  repo: { values: ['name', 'baseurl', 'proxy'] },
  rootpw: { words: [0, 1], flags: ['lock', 'iscrypted'] },
  selinux: { flags: ['enforcing', 'permissive'] },
  services: { values: ['enabled', 'disabled'] },
  skipx: {},
  timezone: { words: [1, 1], flags: ['utc'] },
  url: { values: ['url', 'proxy'] },
  volgroup: { words: [2, 2] },
}

/** Without these an installer asks, or installs something that nobody can use. */
const NEEDED = [...['lang', 'keyboard', 'timezone', 'rootpw', 'bootloader', 'part', 'poweroff']]

/** The words of a line, quotes taken off as anaconda's shlex does. */
export function kickstartWords(line: string): string[] {
  return [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) =>
    word.replaceAll(
      /"([^"]*)"|'([^']*)'/g,
      (_, double?: string, single?: string) => double ?? single!,
    ),
  )
}

/** Read a kickstart file, with everything that is wrong with it. */
export function readKickstart(text: string): Kickstart {
  const result: Kickstart = { commands: [], packages: [], scripts: [], problems: [] }
  const problem = (line: number, what: string) => result.problems.push({ line, what })
  const known = text.startsWith('#version=RHEL6\n') ? { ...COMMANDS, ...COMMANDS_OF_6 } : COMMANDS
  let section: { name: string; line: number; lines: string[] } | undefined
  for (const [i, line] of text.split('\n').entries()) {
    const number = i + 1
    const [, name] = /^%(\w+)/.exec(line) ?? []
    if (section) {
      if (name === 'end') {
        if (section.name === 'packages') {
          result.packages.push(...section.lines.filter((one) => one && !one.startsWith('#')))
        } else {
          const script = {
            section: section.name,
            line: section.line,
            text: section.lines.join('\n'),
          }
          result.scripts.push(script)
        }
        section = undefined
      } else if (name !== undefined) problem(number, `%${name} inside %${section.name}`)
      else section.lines.push(line)
    } else if (name !== undefined) {
      if (!['packages', 'pre', 'post'].includes(name)) problem(number, `unknown section %${name}`)
      section = { name, line: number, lines: [] }
    } else if (line.trim() !== '' && !line.startsWith('#')) {
      const words = kickstartWords(line)
      result.commands.push({ line: number, words })
      checkCommand(words, known).forEach((what) => problem(number, what))
    }
  }
  if (section) problem(section.line, `%${section.name} has no %end`)
  const given = new Set(result.commands.map(({ words }) => words[0]))
  for (const name of NEEDED) if (!given.has(name)) problem(0, `${name} is missing`)
  if (!given.has('cdrom') && !given.has('url')) problem(0, 'no source of packages: cdrom or url')
  for (const name of result.packages) {
    if (!/^[-@]?[A-Za-z0-9^*][A-Za-z0-9*+._-]*$/.test(name)) problem(0, `no package: ${name}`)
  }
  return result
}

function checkCommand(
  [name, ...rest]: string[],
  known: Record<string, Rule | undefined>,
): string[] {
  const rule = Object.hasOwn(known, name ?? '') ? known[name!] : undefined
  if (!rule) return [`unknown command ${name}`]
  const options = rest.filter((word) => word.startsWith('--'))
  const plain = rest.length - options.length
  const [least, most] = rule.words ?? [0, 0]
  return [
    ...(plain < least || plain > most
      ? [`${name} has ${plain} words, not ${least} to ${most}`]
      : []),
    ...options.flatMap((option) => {
      const [, key, value] = /^--([\w-]+)(?:=(.*))?$/.exec(option) ?? []
      if (value === undefined && rule.flags?.includes(key!)) return []
      if (value !== undefined && value !== '' && rule.values?.includes(key!)) return []
      return [`${name} does not know ${option}`]
    }),
  ]
}
