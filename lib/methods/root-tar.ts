/**
 * A root tar: everything of a system, as curtin unpacks it. Made by GNU tar, inside the name space in which
 * the files have their owners.
 *
 * Source: tar's manual, "Extended attributes" and "Reproducibility"; curtin, commands/extract.py.
 */

/**
 * The words of tar, for a tree that nobody changes any more.
 *
 * @param mounts whether what is mounted inside the tree belongs to it
 */
export function rootTarWords(
  directory: string,
  tar: string,
  epochSeconds: number,
  { mounts = false } = {},
): string[] {
  return [
    ...['tar', '--create', '--file', tar],
    ...['--directory', directory],
    // Owners by number: the names are those of the new system, which the host does not know.
    '--numeric-owner',
    ...['--acls', '--xattrs', '--xattrs-include=*'],
    // No times of access, no number of this process: the same tree, the same bytes.
    ...['--format=pax', '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'],
    ...['--sort=name', `--mtime=@${epochSeconds}`, '--clamp-mtime'],
    // Every boot makes these anew, and who is not root can't make them at all.
    '--exclude=./dev/*',
    // What belongs to the file systems it is on.
    ...['--exclude=./lost+found', '--exclude=./boot/lost+found'],
    ...(mounts ? [] : ['--one-file-system']),
    '.',
  ]
}
