/**
 * Reads a declarative Jenkinsfile as far as this project's own goes: comments, texts, and statements with or
 * without a block. It is no Groovy parser and no stand-in for Jenkins' linter, which runs in Jenkins alone: what
 * it finds is a brace too many, a section where none is, a stage with two bodies. Groovy's own compiler reads the
 * file in jenkinsfile.live.ts.
 * Source: Jenkins' handbook, "Pipeline Syntax", Declarative Pipeline.
 */
export type Section = {
  name: string
  /** Texts in its arguments, without their quotes. */
  texts: string[]
  /** Arguments as they stand, for those that are no texts: `none`, `true`. */
  words: string[]
  body: Section[] | undefined
  line: number
}
type Token = { kind: 'word' | 'text' | 'mark'; value: string; line: number }

const TOKEN =
  /(?<skip>\s+|\/\*[^]*?\*\/|\/\/.*)|'(?<single>(?:\\.|[^'\\\n])*)'|"(?<double>(?:\\.|[^"\\\n])*)"|(?<word>[\w.]+)|(?<mark>[^\s\w'"])/gy

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  for (const { 0: all, index, groups } of text.matchAll(TOKEN)) {
    const line = text.slice(0, index).split('\n').length
    const { single, double, word, mark } = groups!
    if (word !== undefined) tokens.push({ kind: 'word', value: word, line })
    else if (mark !== undefined) tokens.push({ kind: 'mark', value: mark, line })
    else if (single !== undefined || double !== undefined) {
      // In single quotes a backslash stands for what follows it.
      tokens.push({ kind: 'text', value: (single ?? double!).replaceAll(/\\(.)/g, '$1'), line })
    }
    at = index + all.length
  }
  if (at < text.length) {
    throw new Error(`Cannot read line ${text.slice(0, at).split('\n').length}: a text without end`)
  }
  return tokens
}

/** Their blocks hold Groovy, not sections. */
const GROOVY = ['expression', 'script', 'environment']

/** @throws {Error} with the line, for braces and brackets that do not match */
export function readJenkinsfile(text: string): Section[] {
  const tokens = tokensOf(text)
  let at = 0
  const isMark = (value: string) => tokens[at]?.kind === 'mark' && tokens[at]!.value === value

  function skipGroovy(open: Token) {
    for (let depth = 1; depth > 0; at++) {
      if (at >= tokens.length) throw new Error(`Line ${open.line}: this { has no }`)
      if (isMark('{')) depth++
      if (isMark('}')) depth--
    }
  }
  function statement(): Section {
    const first = tokens[at++]!
    if (first.kind !== 'word') {
      throw new Error(`Line ${first.line}: "${first.value}" where a section or a step begins`)
    }
    const section: Section = {
      name: first.value,
      texts: [],
      words: [],
      body: undefined,
      line: first.line,
    }
    let brackets = 0
    for (let last = first; at < tokens.length; last = tokens[at++]!) {
      const token = tokens[at]!
      const continued = brackets > 0 || (last.kind === 'mark' && last.value === ',')
      if (token.line > last.line && !continued) break
      if (token.kind === 'mark' && token.value === '}') break
      if (token.kind === 'mark' && token.value === '{') {
        at++
        if (GROOVY.includes(section.name)) skipGroovy(token)
        else section.body = block(token)
        break
      }
      if (token.kind === 'text') section.texts.push(token.value)
      else if (token.kind === 'word') section.words.push(token.value)
      else if ('(['.includes(token.value)) brackets++
      else if (')]'.includes(token.value)) brackets--
    }
    if (brackets !== 0)
      throw new Error(`Line ${first.line}: brackets of ${first.value} do not match`)
    return section
  }
  function block(open: Token): Section[] {
    const sections: Section[] = []
    while (!isMark('}')) {
      if (at >= tokens.length) throw new Error(`Line ${open.line}: this { has no }`)
      sections.push(statement())
    }
    at++
    return sections
  }
  const sections: Section[] = []
  while (at < tokens.length) sections.push(statement())
  return sections
}

const STEPS = ['sh', 'junit', 'archiveArtifacts', 'echo', 'script']
const CONDITIONS = ['beforeAgent', 'triggeredBy', 'expression', 'environment', 'branch', 'not']
/** What may be where. */
const INSIDE: Record<string, string[]> = {
  pipeline: ['agent', 'options', 'parameters', 'environment', 'stages', 'post'],
  agent: ['label'],
  options: ['buildDiscarder', 'timestamps', 'timeout'],
  parameters: ['string', 'choice', 'booleanParam'],
  stages: ['stage'],
  stage: ['agent', 'options', 'when', 'steps', 'stages', 'matrix', 'post'],
  matrix: ['when', 'agent', 'axes', 'stages', 'post'],
  axes: ['axis'],
  axis: ['name', 'values'],
  when: CONDITIONS,
  steps: STEPS,
  post: ['always', 'failure', 'success', 'cleanup'],
  always: STEPS,
}

/** What is wrong with it, a line each. */
export function checkPipeline(sections: Section[]): string[] {
  const problems: string[] = []
  const say = ({ line }: Section, text: string) => problems.push(`line ${line}: ${text}`)
  const visit = (section: Section) => {
    const { name, body } = section
    const inside = INSIDE[name]
    if (!inside || !body) return
    for (const child of body) {
      if (!inside.includes(child.name)) say(child, `${child.name} is not known in ${name}`)
      visit(child)
    }
    const has = (...names: string[]) => body.filter((child) => names.includes(child.name)).length
    if (name === 'stage' && has('steps', 'stages', 'matrix') !== 1) {
      say(section, `stage ${section.texts[0]} has to have steps, stages or a matrix`)
    }
    for (const needed of { pipeline: ['agent', 'stages'], matrix: ['axes', 'stages'] }[name] ??
      []) {
      if (has(needed) !== 1) say(section, `${name} has to have ${needed}`)
    }
  }
  if (sections.length !== 1 || sections[0]!.name !== 'pipeline')
    problems.push('no pipeline, or more')
  sections.forEach(visit)
  return problems
}

/** All sections and steps of a name, wherever they are. */
export function findSections(sections: Section[], name: string): Section[] {
  return sections.flatMap((section) => [
    ...(section.name === name ? [section] : []),
    ...findSections(section.body ?? [], name),
  ])
}
