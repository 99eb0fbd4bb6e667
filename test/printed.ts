/** What is printed on standard error while `work` runs; its error, if there is one, passes through. */
export async function printed(work: () => Promise<unknown>): Promise<string> {
  const original = process.stderr.write
  let text = ''
  const keep = (data: string) => {
    text += data
    return true
  }
  process.stderr.write = keep as typeof process.stderr.write // of its overloads, the one in use
  try {
    await work()
  } finally {
    process.stderr.write = original
  }
  return text
}
