/** Rules of what a build, an installer or a boot leaves behind: settings, logs, caches, histories. */
import { homesOf, linesOf } from './accounts.ts'
import type { SystemFiles } from './files.ts'
import type { Rules } from './rules.ts'

/** How many of many are named. */
const SOME = 3

/** The first few, and how many more there are. */
function some(paths: readonly string[], what = 'more'): string[] {
  if (paths.length <= SOME) return [...paths]
  return [...paths.slice(0, SOME), `${paths.length - SOME} ${what}`]
}

/** Files with something in them, below a directory. */
const filled = (files: SystemFiles, top: string) =>
  [...files.walk(top)].filter(({ stat }) => stat.kind === 'file' && stat.bytes > 0)

const pathsOf = (found: readonly { path: string }[]) => found.map(({ path }) => path)
const present = (files: SystemFiles, paths: readonly string[]) =>
  paths.filter((path) => files.has(path))

/** Names in a directory that match. */
const matching = (files: SystemFiles, directory: string, name: RegExp) =>
  files.list(directory).flatMap((one) => (name.test(one) ? [`${directory}/${one}`] : []))

function* installer(files: SystemFiles): Generator<string> {
  const logs = [
    '/var/log/installer',
    '/var/log/anaconda',
    '/var/log/curtin',
    '/var/log/debian-installer',
  ]
  for (const directory of logs) yield* some(pathsOf(filled(files, directory)))
  yield* present(files, [
    '/preseed.cfg',
    '/ks.cfg',
    '/autoinstall.yaml',
    '/etc/cloud/ds-identify.cfg',
  ])
  yield* present(files, ['/etc/cloud/cloud-init.disabled', '/etc/apt/apt.conf.d/90curtin-aptproxy'])
  yield* matching(
    files,
    '/root',
    /^(anaconda-ks\.cfg|original-ks\.cfg|install\.log.*|.*preseed.*|ks.*\.cfg|autoinstall.*)$/,
  )
  yield* matching(files, '/var/log', /^anaconda\./)
  yield* matching(files, '/etc/apt', /\.curtin\./)
  yield* matching(
    files,
    '/etc/cloud/cloud.cfg.d',
    /^(99-installer|90-installer-network|curtin-|50-curtin-|subiquity-)/,
  )
}

function* nocloud(files: SystemFiles): Generator<string> {
  const menus = [
    ...[
      '/boot/grub/grub.cfg',
      '/boot/grub2/grub.cfg',
      '/boot/grub/grub.conf',
      '/boot/grub/menu.lst',
    ],
    ...['/boot/grub2/grubenv', '/boot/grub/grubenv', '/etc/default/grub', '/etc/kernel/cmdline'],
    ...files.paths('/etc/default/grub.d'),
    ...files.paths('/boot/loader/entries'),
    ...files.paths('/etc/cmdline.d'),
    ...pathsOf([...files.walk('/boot/efi')]).filter((path) => /\.(cfg|conf)$/.test(path)),
  ]
  for (const path of menus) {
    if (linesOf(files, path).some((line) => /\bds=nocloud\b/i.test(line))) yield path
  }
  for (const path of ['/etc/cloud/cloud.cfg', ...files.paths('/etc/cloud/cloud.cfg.d')]) {
    const told = linesOf(files, path).some((line) => /\bds=nocloud\b|\bseedfrom\s*:/i.test(line))
    if (told) yield path
  }
}

function* cloudInit(files: SystemFiles): Generator<string> {
  yield* some(
    [...files.walk('/var/lib/cloud')].flatMap(({ path, stat }) =>
      stat.kind === 'directory' ? [] : [path],
    ),
  )
}

function* caches(files: SystemFiles): Generator<string> {
  yield* some(matching(files, '/var/cache/apt/archives', /\.deb$/))
  yield* matching(files, '/var/cache/apt', /\.bin$/)
  const lists = filled(files, '/var/lib/apt/lists').filter(({ path }) => !path.endsWith('/lock'))
  yield* some(pathsOf(lists))
  for (const directory of ['/var/cache/dnf', '/var/cache/yum', '/var/cache/libdnf5']) {
    yield* some(pathsOf(filled(files, directory)))
  }
  for (const home of homesOf(files)) yield* some(pathsOf(filled(files, `${home}/.cache`)))
}

const HISTORIES =
  /^\.((bash|zsh|ash|sh|python|mysql|psql|sqlite|node_repl)_history|lesshst|wget-hsts|viminfo|histfile)$/

function* history(files: SystemFiles): Generator<string> {
  for (const home of homesOf(files)) {
    for (const path of matching(files, home, HISTORIES)) {
      if (files.stat(path)!.bytes > 0) yield path
    }
  }
}

/** Nothing of these two places is meant to last. */
function* temporary(files: SystemFiles): Generator<string> {
  for (const directory of ['/tmp', '/var/tmp']) {
    yield* some(
      files.paths(directory).filter((path) => path !== STAGED && !/\/lost\+found$/.test(path)),
    )
  }
}

/** As lib/methods/guest.ts has it. */
const STAGED = '/var/tmp/hybrid-images'

const staging = (files: SystemFiles) =>
  present(files, [
    STAGED,
    ...[
      '/etc/apt/apt.conf.d/99mmdebstrap',
      '/etc/dpkg/dpkg.cfg.d/99mmdebstrap',
      '/usr/sbin/policy-rc.d',
    ],
    ...['/sbin/start-stop-daemon.REAL', '/etc/yum.repos.d/hybrid-images-build.repo'],
  ])

function* cores(files: SystemFiles): Generator<string> {
  for (const directory of ['/', '/root', '/var', '/tmp', '/var/lib/systemd']) {
    const paths = matching(files, directory === '/' ? '' : directory, /^core(\.\d+)?$/)
    yield* paths.filter((path) => files.stat(path)?.kind === 'file')
  }
  for (const directory of ['/var/crash', '/var/lib/systemd/coredump', '/var/spool/abrt']) {
    yield* some(pathsOf(filled(files, directory)))
  }
}

export const buildRules = {
  installer,
  nocloud,
  'cloud-init': cloudInit,
  caches,
  history,
  logs: (files) => some(pathsOf(filled(files, '/var/log'))),
  temporary,
  staging,
  cores,
} as const satisfies Partial<Rules>
