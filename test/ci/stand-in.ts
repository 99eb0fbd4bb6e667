/**
 * A repository whose commands are stand-ins: they take the real command's words (an unknown option fails as it
 * does in the real one, which is asked by --dry-run) and leave a small file as the image.
 */
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { distros } from '../../distros/all.ts'
import { command } from '../live.ts'

/** What stands in for a command: notes its words in $CALLS, asks the real one, then acts. */
const script = (name: string, asked: string, act: string) => `#!/bin/bash
set -eu
[ -z "\${CALLS:-}" ] || echo "${name} $*" >>"$CALLS"
${asked}
${act}
`
const dryRun = (name: string) => `'${command(name)}' "$@" --dry-run >/dev/null`
/** Without a whole image these end with status 1; 2 is bad usage. */
const notUsage = (name: string) =>
  `status=0; '${command(name)}' "$@" >/dev/null 2>&1 || status=$?; [ "$status" -ne 2 ] || exit 2`

const IMAGE = `
case " $* " in *' image '*)
  name=\${0##*create-image-}-$1 dir=$PWD/bits/\${0##*create-image-}-$1/main-$(date +%s%N)
  sleep "\${STAND_IN_SECONDS:-0}"
  mkdir -p "$dir"; echo 'an installer' >"$PWD/bits/$name-qemu.log"; echo "$name" >"$dir/$name.imgmanifest"; echo "$dir/$name.imgmanifest" ;;
esac`
const TEST = `
[ -f "$1" ] || { echo "no image $1" >&2; exit 1; }
echo '<testsuites/>' >"\${1%.imgmanifest}.test.xml"
case $1 in *"\${STAND_IN_BAD:-none}"*) echo 'a check failed' >&2; exit 1 ;; esac`
// One image is validated in place of all, which takes a while.
const BUILD_IMAGES = `
case $1 in validate) set -- "$@" debian-12 ;; esac
exec '${command('build-images')}' "$@"`
const PUBLISH = `[ -f "$1" ] || { echo "no image $1" >&2; exit 1; }`

/** Fill `dir` with a bin/ of stand-ins. */
export async function writeStandIns(dir: string): Promise<void> {
  const bin = join(dir, 'bin')
  await mkdir(bin, { recursive: true })
  const files: [string, string][] = [
    ...distros.map(({ name }): [string, string] => {
      const of = `create-image-${name}`
      return [of, script(of, dryRun(of), IMAGE)]
    }),
    ['test-image', script('test-image', notUsage('test-image'), TEST)],
    ['inspect-image', script('inspect-image', notUsage('inspect-image'), TEST)],
    ['publish-image', script('publish-image', notUsage('publish-image'), PUBLISH)],
    ['build-images', script('build-images', '', BUILD_IMAGES)],
  ]
  for (const [name, text] of files) {
    await writeFile(join(bin, name), text)
    await chmod(join(bin, name), 0o755)
  }
}

/** The same as a git repository, with the branch main. */
export async function standInRepository(dir: string): Promise<string> {
  await writeStandIns(dir)
  await writeFile(join(dir, '.gitignore'), 'bits/\n')
  const git = (...words: string[]) =>
    execFileSync('git', ['-C', dir, ...words], { stdio: 'ignore' })
  git('init', '--initial-branch=main')
  git('add', '.')
  git('-c', 'user.name=Tester', '-c', 'user.email=tester@example.com', 'commit', '-m', 'stand-ins')
  return dir
}
