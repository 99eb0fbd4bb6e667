/**
 * The operator's user-data, as cloud-init tells its kinds apart: by the first line, or as a MIME message.
 * What cloud-init would pass over with a warning is refused before anything is booted; what its own schema
 * says of it, the base image's cloud-init says.
 * Source: cloud-init's documentation, "User data formats".
 */
import { UsageError } from '../cli/errors.ts'
import { isNestedTooDeep } from '../cli/nesting.ts'
import { oneLine } from '../cli/one-line.ts'

/** First lines, and the type of a MIME part; text/plain parts are told apart by cloud-init itself. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^#!/, 'text/x-shellscript'],
  [/^#cloud-config *\r?(\n|$)/, 'text/cloud-config'],
  [
    /^#(include|include-once|cloud-boothook|cloud-config-archive|cloud-config-jsonp|part-handler)\b/,
    'text/plain',
  ],
  [/^## *template: *jinja *\r?\n/, 'text/plain'],
]

/** Headers of a message, up to an empty line. */
const isMime = (text: string) =>
  /^(Content-Type|MIME-Version): /i.test(text) && /^Content-Type: *multipart\//im.test(text)

/** A part of a multi-part message, headers first. */
export function mimePart(text: string, name: string): string {
  // A message of parts is a part as it is.
  if (isMime(text)) return text
  const type = KINDS.find(([begins]) => begins.test(text))?.[1] ?? 'text/plain'
  return [
    `Content-Type: ${type}; charset="utf-8"`,
    'MIME-Version: 1.0',
    `Content-Disposition: attachment; filename="${name}"`,
    '',
    text,
  ].join('\n')
}

/** @throws {UsageError} for text that is of no use to cloud-init, with its line */
export async function checkUserData(text: string, path: string): Promise<void> {
  const refuse = (what: string, hint?: string) =>
    new UsageError(`Cannot use --user-data "${path}": ${what}`, { hint })
  if (isMime(text)) return
  const [, type] = KINDS.find(([begins]) => begins.test(text)) ?? []
  if (type === undefined) {
    const [first = ''] = text.split('\n')
    throw refuse(
      text.trim() === ''
        ? 'it is empty'
        : `cloud-init knows nothing that begins with line 1, "${oneLine(first, 60)}"`,
      'It begins with #cloud-config, #!, #include or #cloud-boothook, or is a MIME message',
    )
  }
  if (type !== 'text/cloud-config') return
  if (isNestedTooDeep(text)) throw refuse('it is no YAML: it is nested too deep')
  const { parseDocument } = await import('yaml') // not for every command
  let document
  try {
    document = parseDocument(text, { prettyErrors: true, logLevel: 'error' })
  } catch (error) {
    throw refuse(`it is no YAML: ${oneLine((error as Error).message)}`)
  }
  const [error] = document.errors
  if (error) {
    const [where] = error.linePos ?? []
    const what = error.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '')
    throw refuse(`line ${where?.line ?? 1} is no YAML: ${oneLine(what)}`)
  }
  let content: unknown
  try {
    content = document.toJS()
  } catch (error) {
    // An alias of nothing, or so many of them that it would grow without an end.
    throw refuse(`it is no YAML: ${oneLine((error as Error).message)}`)
  }
  if (content !== null && (typeof content !== 'object' || Array.isArray(content))) {
    throw refuse('it is no mapping of keys to values', 'As in: packages: [tmux]')
  }
}
