/** Names and passwords in addresses (`http://me:secret@proxy`) never reach a log. */
export function redact(text: string): string {
  return text.replaceAll(/(\w+:\/\/)[^\s/@'"]+@/g, '$1***@')
}
