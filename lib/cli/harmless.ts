/**
 * Text of others on an operator's terminal: consoles of guests, answers of servers, names in manifests. What a
 * terminal would obey (move, erase, rename its window, type into its input, turn the direction of writing) is
 * shown as `\x1b` in its place. Lines and tabs stay.
 */

// C0 without tab and newline, DEL and C1; marks that turn the direction of what follows.
// eslint-disable-next-line no-control-regex
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

export function harmless(text: string): string {
  return text.replaceAll(OBEYED, (control) => {
    const hex = control.charCodeAt(0).toString(16)
    return hex.length > 2 ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`
  })
}
