/**
 * Starts a command of this project on a bare checkout: installs the npm packages when they are
 * absent or older than package-lock.json asks for, then runs the TypeScript beside the launcher.
 *
 * Plain JavaScript without dependencies, because nothing else can run before `npm ci` has. Paths
 * are found from the real location of the files, so links to a command (npm link, ~/bin) work.
 *
 *   await launch(import.meta.url)                 from bin/<command>: runs bin/<command>.ts
 *   node lib/cli/launcher.js FILE.ts [ARG ...]    runs FILE.ts, as package.json's scripts do
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const OLDEST_NODE = 20
const root = dirname(dirname(dirname(realpathSync(fileURLToPath(import.meta.url)))))

/** @typedef {Record<string, { version?: string, optional?: boolean }>} Locked */

/**
 * The `packages` of a lock file, or undefined when it is absent or not whole.
 * @param {string} path
 * @returns {Locked | undefined}
 */
function lockedPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages
  } catch {
    return undefined
  }
}

/**
 * Are the packages of package-lock.json installed, in the versions it names? npm writes
 * node_modules/.package-lock.json last, so an install that was cut off does not count. Optional
 * packages are those of other platforms.
 * @param {string} top the project's folder
 */
export function packagesInstalled(top) {
  const wanted = lockedPackages(join(top, 'package-lock.json'))
  const present = lockedPackages(join(top, 'node_modules/.package-lock.json'))
  if (!wanted || !present) return false
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === '' || optional || present[path]?.version === version,
  )
}

/** @param {string} message @param {string} hint @returns {never} */
function notReady(message, hint) {
  process.stderr.write(`Error: ${message}\n  ${hint}\n`)
  process.exit(3)
}

function installPackages() {
  process.stderr.write('Installing the npm packages of this project (npm ci)\n')
  // npm's standard output goes to our standard error: stdout carries results only.
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (npm.error) notReady('Cannot run npm: it is not in $PATH', 'Install npm, then run this again')
  if (npm.signal) process.exit(130)
  if (npm.status !== 0) {
    process.stderr.write(npm.stderr)
    notReady(
      `Cannot install the npm packages: npm ci ended with status ${npm.status}`,
      `Run it by hand: cd ${root} && npm ci`,
    )
  }
}

/**
 * Run a TypeScript file of this project.
 * @param {string} file
 */
async function runTypeScript(file) {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    notReady(
      `Cannot run on Node ${process.versions.node}: ${OLDEST_NODE} or newer is needed`,
      'Install it from your distribution or from nodejs.org',
    )
  }
  if (!existsSync(file)) notReady(`Cannot run ${file}: no such file`, 'Is the checkout whole?')
  if (!packagesInstalled(root)) installPackages()
  // Node 22.18 and newer read TypeScript by themselves.
  if ('typescript' in process.features && process.features.typescript) {
    await import(pathToFileURL(file).href)
    return
  }
  const bundle = await bundleOf(file)
  if (bundle) {
    process.setSourceMapsEnabled(true)
    await import(pathToFileURL(bundle).href)
    return
  }
  // Where no bundle can be kept: slower, and its own cache would stay behind in the operator's $TMPDIR.
  process.env['TSX_DISABLE_CACHE'] = '1'
  const { register } = await import('tsx/esm/api')
  register()
  delete process.env['TSX_DISABLE_CACHE']
  await import(pathToFileURL(file).href)
}

/**
 * All of a file or nothing: others may start at the same time.
 * @param {string} path
 * @param {string} text
 */
function writeWhole(path, text) {
  const partial = `${path}.${process.pid}.partial`
  writeFileSync(partial, text)
  renameSync(partial, path)
}

/** Beside the packages, which the next install takes away. */
const BUNDLES = join(root, 'node_modules/.cache/hybrid-images')

/**
 * @typedef {object} Note what a bundle was made of
 * @property {string} with version of its maker
 * @property {Record<string, [mtimeMs: number, size: number]>} sources
 */

/** npm's packages that every command begins with: found and loaded file by file they take as long as Node itself. */
const BUNDLED = ['minimist', 'yaml', 'zx/core']

/**
 * A file with everything of this project that it imports as one file of JavaScript: loaded module by module
 * a command takes four times as long to start. Made when it is missing or older than a source.
 * @param {string} file
 * @returns {Promise<string | undefined>} undefined where it can't be kept
 */
async function bundleOf(file) {
  if (!file.startsWith(`${root}/`)) return undefined // a test's own
  const name = createHash('sha256').update(file).digest('hex').slice(0, 16)
  const bundle = join(BUNDLES, `${basename(file)}-${name}.mjs`)
  const note = `${bundle}.json`
  const maker = lockedPackages(join(root, 'package-lock.json'))?.['node_modules/esbuild']?.version
  try {
    /** @type {Note} */
    const { sources, with: by } = JSON.parse(readFileSync(note, 'utf8'))
    const same = Object.entries(sources).every(([path, [mtimeMs, size]]) => {
      const now = statSync(path)
      return now.mtimeMs === mtimeMs && now.size === size
    })
    if (same && by === maker && existsSync(bundle)) return bundle
  } catch {
    // There is none, or a source is gone.
  }
  /** @type {Note['sources']} */
  const sources = {}
  /** @param {string} path */
  const noteSource = (path) => {
    const { mtimeMs, size } = statSync(path)
    sources[path] = [mtimeMs, size]
  }
  noteSource(fileURLToPath(import.meta.url)) // which says how bundles are made
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    outfile: bundle,
    // What is made for CommonJS calls it.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf('/');",
    },
    write: false,
    format: 'esm',
    platform: 'node',
    target: `node${OLDEST_NODE}`,
    sourcemap: 'inline',
    sourcesContent: false, // they are beside it, and every start would read them twice
    logLevel: 'silent',
    plugins: [
      {
        name: 'places',
        setup({ onLoad, onResolve }) {
          // What is imported when it is needed stays where it is.
          onResolve({ filter: /^[^./]/ }, ({ kind, path }) =>
            kind === 'import-statement' && BUNDLED.includes(path)
              ? undefined
              : { path, external: true },
          )
          // Files are found from where their module lies, not from where the bundle does.
          onLoad({ filter: /\.[cm]?[jt]s$/ }, ({ path }) => {
            noteSource(path)
            const url = JSON.stringify(pathToFileURL(path).href)
            const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', url)
            return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' }
          })
        },
      },
    ],
  })
  try {
    mkdirSync(BUNDLES, { recursive: true })
    writeWhole(bundle, outputFiles[0]?.text ?? '')
    writeWhole(note, JSON.stringify({ with: maker, sources }))
  } catch {
    return undefined // packages of another user, or a read-only file system
  }
  return bundle
}

/**
 * Run the command whose launcher asks for it.
 * @param {string} url the launcher's import.meta.url
 */
export async function launch(url) {
  await runTypeScript(`${realpathSync(fileURLToPath(url))}.ts`)
}

// Started as a program itself: `node lib/cli/launcher.js FILE.ts`.
const [, self, file] = process.argv
if (self && file && realpathSync(self) === realpathSync(fileURLToPath(import.meta.url))) {
  process.argv.splice(1, 1)
  // Not awaited: a test that imports this module would wait for itself.
  void runTypeScript(resolve(root, file))
}
