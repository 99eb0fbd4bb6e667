/**
 * How deep a text of YAML is nested, before a parser that calls itself for each level is let at it: where the stack
 * ends in the middle of it Node may be aborted as a whole, and no error is caught then.
 */

/** What nobody writes, and every parser can take. */
const DEEPEST = 300

/** May be deeper than any parser should be asked to read? By the signs that open a level, not by the grammar. */
export function isNestedTooDeep(text: string): boolean {
  let open = 0
  for (const line of text.split('\n')) {
    const start = /^(?:[ \t]|[-?:](?=[ \t]))*/.exec(line)![0].length
    if (start > 2 * DEEPEST) return true
    for (const sign of line) {
      if (sign === '[' || sign === '{') open += 1
      else if ((sign === ']' || sign === '}') && open > 0) open -= 1
      if (open > DEEPEST) return true
    }
  }
  return false
}
