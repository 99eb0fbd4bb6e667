/**
 * Words of others (a server, a guest, a file) in a message of ours: one line, in which no control character tells the
 * operator's terminal what to do.
 */

/** The most that is worth reading. */
const LONGEST = 300

export const oneLine = (text: string, longest = LONGEST): string =>
  text
    .slice(0, 4 * longest)
    // eslint-disable-next-line no-control-regex
    .replaceAll(/[\s\x00-\x1f\x7f-\x9f]+/g, ' ')
    .trim()
    .slice(0, longest)
