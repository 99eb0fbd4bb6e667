/**
 * A machine of its own for a test file, as far as a test looks at it: processes, mounts, /tmp and /var/tmp that no other
 * file sees. What it leaves behind ends with it.
 */

/** Where each sees what all share. */
export const SHARED_AT = '/var/tmp/hybrid-shared'

/**
 * Runs "$@" with $1 as its temporary files, and $2 among them, which all share. A checkout below /tmp stays in sight. The
 * shell stays, as the first process there is to take the end of those whose parents ended.
 */
const SCRIPT = `
set -e
own=$1 shared=$2
shift 2
mkdir -p "$own/tmp" "$own${SHARED_AT}"
chmod 1777 "$own/tmp" "$own/var/tmp"
mount --bind "$shared" "$own${SHARED_AT}"
case $PWD in /tmp/* | /var/tmp/*) mkdir -p "$own$PWD"; mount --bind "$PWD" "$own$PWD" ;; esac
mount --rbind "$own/tmp" /tmp
mount --rbind "$own/var/tmp" /var/tmp
mkdir -p "\${TMPDIR:-/tmp}"
cd "$PWD"
"$@" || exit $?
`

/** Words that run others there, as root; when they are killed, so is all that they started. @param own an empty place */
export const apart = (own: string, shared: string, words: readonly string[]) => [
  ...['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
  ...['sh', '-c', SCRIPT, 'sh', own, shared, ...words],
]
