/**
 * A strict look at SMF manifests and profiles: well-formed XML of the elements, attributes and order that
 * service_bundle.dtd.1 has for what we use of it. That is less than the DTD allows, on purpose.
 */

export type Element = { name: string; attributes: Record<string, string>; children: Element[] }

/** Attributes (those with "?" may be left out) and, as a pattern over "name name ", the children. */
const RULES: Readonly<Record<string, { attributes: string[]; children: RegExp }>> = {
  service_bundle: { attributes: ['type', 'name'], children: /^(service )+$/ },
  service: {
    attributes: ['name', 'type', 'version'],
    children:
      /^((create_default_instance )?(single_instance )?(dependency )*(dependent )*(exec_method )*(property_group )*(instance )*(stability )?(template )?)$/,
  },
  create_default_instance: { attributes: ['enabled'], children: /^$/ },
  single_instance: { attributes: [], children: /^$/ },
  dependency: {
    attributes: ['name', 'grouping', 'restart_on', 'type'],
    children: /^(service_fmri )+$/,
  },
  dependent: { attributes: ['name', 'grouping', 'restart_on'], children: /^service_fmri $/ },
  service_fmri: { attributes: ['value'], children: /^$/ },
  exec_method: { attributes: ['type', 'name', 'exec', 'timeout_seconds'], children: /^$/ },
  property_group: { attributes: ['name', 'type'], children: /^(propval )+$/ },
  propval: { attributes: ['name', 'type', 'value'], children: /^$/ },
  instance: { attributes: ['name', 'enabled'], children: /^$/ },
  stability: { attributes: ['value'], children: /^$/ },
  template: { attributes: [], children: /^common_name $/ },
  common_name: { attributes: [], children: /^loctext $/ },
  loctext: { attributes: ['xml:lang'], children: /^$/ },
}

/** Values that the DTD lists, or that SMF would refuse later. */
const VALUES: Readonly<Record<string, RegExp>> = {
  'service_bundle type': /^(manifest|profile)$/,
  'service type': /^service$/,
  'service version': /^[1-9]\d*$/,
  'create_default_instance enabled': /^(true|false)$/,
  'instance enabled': /^(true|false)$/,
  'dependency grouping': /^(require_all|require_any|optional_all|exclude_all)$/,
  'dependent grouping': /^(require_all|require_any|optional_all|exclude_all)$/,
  'dependency restart_on': /^(none|error|restart|refresh)$/,
  'dependent restart_on': /^(none|error|restart|refresh)$/,
  'service_fmri value': /^svc:\/[a-z][a-z0-9/-]*(:[a-z][a-z0-9]*)?$/,
  'exec_method type': /^method$/,
  'exec_method timeout_seconds': /^\d+$/,
  'stability value': /^(Standard|Stable|Evolving|Unstable|External|Obsolete)$/,
}

/** @throws {Error} with the reason, for what is not such a file */
export function readBundle(text: string): Element {
  const [, body] =
    /^<\?xml version="1\.0"\?>\n<!DOCTYPE service_bundle SYSTEM "\/usr\/share\/lib\/xml\/dtd\/service_bundle\.dtd\.1">\n([^]*)$/.exec(
      text,
    ) ?? []
  if (body === undefined) throw new Error('It has not the head of an SMF file')
  const top: Element = { name: '', attributes: {}, children: [] }
  const open = [top]
  let at = 0
  // A comment, a tag, or text.
  for (const [token, closing, name, rest, alone] of body.matchAll(
    /<!--(?:(?!--)[^])*-->|<(\/?)([a-z_]+)((?:\s+[a-z_:]+="[^"<&]*")*)\s*(\/?)>|[^<]+/g,
  )) {
    if (body.indexOf(token, at) !== at) break
    at += token.length
    if (name === undefined) continue
    if (closing) {
      const element = open.pop()!
      if (element.name !== name) throw new Error(`<${element.name}> is closed as </${name}>`)
      check(element)
      continue
    }
    const attributes: Record<string, string> = {}
    for (const [, key, value] of rest!.matchAll(/([a-z_:]+)="([^"]*)"/g)) {
      if (key! in attributes) throw new Error(`<${name}> has two ${key}`)
      attributes[key!] = value!
    }
    const element = { name, attributes, children: [] }
    open.at(-1)!.children.push(element)
    if (alone) check(element)
    else open.push(element)
  }
  if (at !== body.length) throw new Error(`It is not XML from here: ${body.slice(at, at + 40)}`)
  if (open.length !== 1) throw new Error(`<${open.at(-1)!.name}> is not closed`)
  const [bundle, more] = top.children
  if (bundle?.name !== 'service_bundle' || more) throw new Error('It is not one service_bundle')
  return bundle
}

function check({ name, attributes, children }: Element) {
  const rule = RULES[name]
  if (!rule) throw new Error(`There is no element ${name}`)
  const wanted = [...rule.attributes].sort().join(' ')
  const found = Object.keys(attributes).sort().join(' ')
  if (wanted !== found) throw new Error(`<${name}> has the attributes ${found}, not ${wanted}`)
  const order = children.map((child) => `${child.name} `).join('')
  if (!rule.children.test(order)) throw new Error(`<${name}> can not contain ${order}`)
  for (const [key, value] of Object.entries(attributes)) {
    const form = VALUES[`${name} ${key}`]
    if (value === '' || (form && !form.test(value))) {
      throw new Error(`<${name}> can not have ${key}="${value}"`)
    }
  }
}
