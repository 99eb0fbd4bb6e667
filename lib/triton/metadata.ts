/**
 * The metadata of one instance, and who may do what with it.
 *
 * Customers' keys can be read, written and listed. Keys below `sdc:` describe the instance: they can
 * be read, and are neither listed nor written. Keys that end in `_pw` are the provisioner's: readable
 * and not listed. Source: https://eng.tritondatacenter.com/mdata/datadict.html
 */

/** Keys to values, as text. */
export type MetadataValues = Readonly<Record<string, string>>

const isReadOnly = (key: string) => key.startsWith('sdc:')
const isHidden = (key: string) => isReadOnly(key) || key.endsWith('_pw')

export class Metadata {
  readonly #values: Map<string, string>

  constructor(values: MetadataValues) {
    this.#values = new Map(Object.entries(values))
  }

  get(key: string): string | undefined {
    return this.#values.get(key)
  }

  /** The names that a client is shown. */
  keys(): string[] {
    return [...this.#values.keys()].filter((key) => !isHidden(key))
  }

  /** Whether the key could be written. */
  put(key: string, value: string): boolean {
    if (key === '' || isReadOnly(key)) return false
    this.#values.set(key, value)
    return true
  }

  /** Whether the key may be gone now; one that never was is no error. */
  delete(key: string): boolean {
    if (isReadOnly(key)) return false
    this.#values.delete(key)
    return true
  }
}
