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
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import * as nodeModule from 'node:module'
import { homedir, tmpdir } from 'node:os'
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
  try {
    process.cwd()
  } catch {
    notReady('Cannot start: the current directory has been removed', 'Change to another one')
  }
  if (!existsSync(file)) notReady(`Cannot run ${file}: no such file`, 'Is the checkout whole?')
  if (!packagesInstalled(root)) installPackages()
  const { path, directory } = await bundleOf(file)
  nameSources(path)
  if (!directory) keepCompiled(join(dirname(path), 'compiled'))
  try {
    await import(pathToFileURL(path).href)
  } finally {
    if (directory) rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * Node from 22.1 on can keep what it has compiled, which is half of what a start adds to that of Node itself.
 * @param {string} directory
 */
function keepCompiled(directory) {
  const keep = 'enableCompileCache' in nodeModule && nodeModule.enableCompileCache
  if (typeof keep === 'function') keep(directory)
}

/**
 * Have stack traces name the sources. Node does so itself, but reads the map at every start, which takes a sixth of
 * its time: this reads it for the first trace.
 * @param {string} bundle
 */
function nameSources(bundle) {
  const url = pathToFileURL(bundle).href
  /** @type {nodeModule.SourceMap | undefined} */
  let map
  /** @param {NodeJS.CallSite} frame */
  const named = (frame) => {
    const [text, line, column] = [String(frame), frame.getLineNumber(), frame.getColumnNumber()]
    if (!line || !column || !text.includes(url)) return text
    map ??= new nodeModule.SourceMap(
      JSON.parse(maps.get(bundle) ?? readFileSync(mapOf(bundle), 'utf8')),
    )
    const entry = map.findEntry(line - 1, column - 1)
    if (!('originalSource' in entry)) return text
    const source = resolve(dirname(bundle), entry.originalSource)
    const place = `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
    return text.replace(`${url}:${line}:${column}`, place)
  }
  Error.prepareStackTrace = (error, frames) => {
    const lines = frames.map((frame) => {
      try {
        return named(frame)
      } catch {
        return String(frame) // the map is gone
      }
    })
    return [String(error), ...lines.map((line) => `    at ${line}`)].join('\n')
  }
}

/** Of bundles that are not kept. @type {Map<string, string>} */
const maps = new Map()
/** @param {string} bundle */
const mapOf = (bundle) => `${bundle}.map`

/**
 * All of a file or nothing: others may start at the same time.
 * @param {string} path
 * @param {string} text
 */
function writeWhole(path, text) {
  const partial = `${path}.${process.pid}.partial`
  try {
    writeFileSync(partial, text)
    renameSync(partial, path)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
}

/** Beside the packages, which the next install takes away. */
const BUNDLES = join(root, 'node_modules/.cache/hybrid-images')

/**
 * Where a user keeps them who may not write there. Nobody else may have put something into it, and root begins with
 * nothing that another user could change.
 * @returns {string | undefined} undefined where there is no such place
 */
function ownBundles() {
  const self = process.getuid?.()
  if (self === 0) return undefined // $HOME may be that of who became root
  try {
    const cache = process.env['XDG_CACHE_HOME'] || join(process.env['HOME'] || homedir(), '.cache')
    const directory = join(cache, 'hybrid-images/start')
    mkdirSync(dirname(directory), { recursive: true })
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const { uid, mode } = statSync(directory)
    return uid === self && (mode & 0o022) === 0 ? directory : undefined
  } catch {
    return undefined
  }
}

/** @param {string} directory */
function mayWrite(directory) {
  try {
    mkdirSync(directory, { recursive: true })
    accessSync(directory, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * @typedef {object} Note what a bundle was made of
 * @property {string} with version of its maker
 * @property {Record<string, [mtimeMs: number, size: number]>} sources
 */

/** npm's packages that every command begins with: found and loaded file by file they take as long as Node itself. */
const BUNDLED = ['minimist', 'yaml', 'zx/core']

/** Version of what makes bundles. */
const maker = () =>
  lockedPackages(join(root, 'package-lock.json'))?.['node_modules/esbuild']?.version

/**
 * Is it there, and are its sources as they were?
 * @param {string} bundle
 */
function isFresh(bundle) {
  try {
    /** @type {Note} */
    const { sources, with: by } = JSON.parse(readFileSync(`${bundle}.json`, 'utf8'))
    const same = Object.entries(sources).every(([path, [mtimeMs, size]]) => {
      const now = statSync(path)
      return now.mtimeMs === mtimeMs && now.size === size
    })
    return same && by === maker() && existsSync(bundle)
  } catch {
    return false // there is none, or a source is gone
  }
}

/**
 * A file with everything of this project that it imports as one file of JavaScript: loaded module by module a command
 * takes four times as long to start, also with a Node that reads TypeScript itself. Made when it is missing or older
 * than a source. What is not this project's, a test's own file, is bundled for once, as is everything where nothing
 * can be kept.
 * @param {string} file
 * @returns {Promise<{ path: string, directory?: string }>} a directory is to be removed
 */
async function bundleOf(file) {
  const digest = createHash('sha256').update(file).digest('hex').slice(0, 16)
  const name = `${basename(file)}-${digest}.mjs`
  // A test's own file may be another one each time.
  const places = file.startsWith(`${root}/`) ? [() => BUNDLES, ownBundles] : []
  for (const place of places) {
    const kept = place()
    if (kept === undefined) continue
    const bundle = join(kept, name)
    if (isFresh(bundle)) return { path: bundle }
    if (mayWrite(kept) && (await keepBundle(file, bundle))) return { path: bundle }
  }
  const directory = passing(() => mkdtempSync(join(tmpdir(), 'hybrid-images-start-')))
  const path = join(directory, name)
  // It is gone before it begins, whatever becomes of it.
  const gone = `import { rmSync as removeStart } from 'node:fs'; removeStart(${JSON.stringify(directory)}, { recursive: true, force: true });`
  try {
    const { text, map } = await makeBundle(file, path, gone)
    passing(() => writeFileSync(path, text))
    maps.set(path, map) // once it has begun there is no file of it
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw error
  }
  return { path, directory }
}

/**
 * @template T
 * @param {() => T} write
 * @returns {T}
 */
function passing(write) {
  try {
    return write()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    notReady(
      `Cannot start in ${tmpdir()}: ${reason}`,
      'Make room there, or name another directory in $TMPDIR',
    )
  }
}

/**
 * @param {string} file
 * @param {string} bundle its place
 * @returns whether it is there: a disk may be full
 */
async function keepBundle(file, bundle) {
  const { text, map, sources } = await makeBundle(file, bundle)
  try {
    writeWhole(mapOf(bundle), map)
    writeWhole(bundle, text)
    writeWhole(`${bundle}.json`, JSON.stringify({ with: maker(), sources }))
    return true
  } catch {
    return false
  }
}

/** Given to a question of our own, which is not to be answered by us. */
const ASKED = {}

/**
 * @param {string} file
 * @param {string} bundle where it is going to be
 * @param {string} [first] a statement in front of all
 */
async function makeBundle(file, bundle, first = '') {
  /** @type {Note['sources']} */
  const sources = {}
  /** @param {string} path */
  const noteSource = (path) => {
    const { mtimeMs, size } = statSync(path)
    sources[path] = [mtimeMs, size]
  }
  noteSource(fileURLToPath(import.meta.url)) // which says how bundles are made
  const beside = bundle.startsWith(`${root}/`)
  // Elsewhere packages are named by their places, which another version of them may have changed.
  if (!beside) noteSource(join(root, 'package-lock.json'))
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    outfile: bundle,
    // What is made for CommonJS calls it.
    banner: {
      js: `import { createRequire as requireOf } from 'node:module'; const require = requireOf('/'); ${first}`,
    },
    write: false,
    format: 'esm',
    platform: 'node',
    target: `node${OLDEST_NODE}`,
    sourcemap: 'external',
    sourcesContent: false, // they are beside it, and every start would read them twice
    logLevel: 'silent',
    plugins: [
      {
        name: 'places',
        setup({ onLoad, onResolve, resolve: place }) {
          // What is imported when it is needed stays where it is.
          onResolve({ filter: /^[^./]/ }, async ({ kind, path, pluginData }) => {
            if (pluginData === ASKED) return undefined
            const whole = kind === 'import-statement' && BUNDLED.includes(path)
            if (beside || nodeModule.isBuiltin(path))
              return whole ? undefined : { path, external: true }
            // Packages are found from where the bundle lies.
            const found = await place(path, { kind, resolveDir: root, pluginData: ASKED })
            if (whole && found.errors.length === 0) return { path: found.path }
            return { path: found.path || path, external: true }
          })
          // Files are found from where their module lies, not from where the bundle does.
          onLoad({ filter: /\.[cm]?[jt]s$/ }, ({ path }) => {
            noteSource(path)
            const url = JSON.stringify(pathToFileURL(path).href)
            const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', url)
            return { contents, loader: /ts$/.test(path) ? 'ts' : 'js' }
          })
        },
      },
    ],
  })
  const [map, code] = outputFiles
  return { text: code?.text ?? '', map: map?.text ?? '', sources }
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
