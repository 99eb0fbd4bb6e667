/**
 * Names and passwords in addresses (`http://me:secret@proxy`) never reach a log. They end with the last `@` in
 * front of the path, as for programs that take an address apart: a password may have one too.
 */
export function redact(text: string): string {
  return text.replaceAll(/\b(\w+:\/\/)[^\s/"]+@/g, '$1***@')
}
