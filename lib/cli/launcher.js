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
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
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
  // Node 22.18 and newer read TypeScript by themselves; tsx serves those before it.
  if (!('typescript' in process.features && process.features.typescript)) {
    // Its cache would stay behind in the operator's $TMPDIR, to save a tenth of a second.
    process.env['TSX_DISABLE_CACHE'] = '1'
    const { register } = await import('tsx/esm/api')
    register()
    delete process.env['TSX_DISABLE_CACHE']
  }
  await import(pathToFileURL(file).href)
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
