/**
 * Secrets that this process has made for itself, such as the password of a machine's screen: the operator is
 * told of them, and nothing that ships may hold them.
 */
export type MadeSecret = { what: string; text: string }

const made: MadeSecret[] = []

/** Remember one; returns it. */
export function madeSecret(what: string, text: string): string {
  made.push({ what, text })
  return text
}

export const madeSecrets = (): readonly MadeSecret[] => made
