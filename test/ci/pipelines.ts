/** The pipeline files, and the shell lines in them: what is run, and the names of images that they list. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { root } from '../live.ts'
import { findSections, readJenkinsfile } from './jenkinsfile.ts'

export const JENKINS = 'Jenkinsfile'
export const GITHUB = '.github/workflows/images.yml'
export const GITLAB = '.gitlab-ci.yml'

export const textOf = (file: string) => readFileSync(join(root, file), 'utf8')

// As much of the two formats as is read here; that the files have it, the engines' own checks say.
type Workflow = { jobs: Record<string, { steps: { run?: string }[] }> }
type GitLabJob = { script?: string[]; parallel?: { matrix: { IMAGE: string[] }[] } }

/** The shell lines of a file in their order; those of a job that builds are one image's. */
export function shellLines(file: string, text = textOf(file)): string[] {
  if (file === JENKINS) {
    return findSections(readJenkinsfile(text), 'sh').map(({ texts }) => texts[0]!)
  }
  if (file === GITHUB) {
    const { jobs } = parse(text) as Workflow
    return Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []))
  }
  const jobs = Object.values(parse(text) as Record<string, GitLabJob>)
  return jobs.flatMap(({ script }) => script ?? [])
}

/** Images that a file lists itself. */
export function listedImages(file: typeof JENKINS | typeof GITLAB): string[] {
  if (file === JENKINS) return findSections(readJenkinsfile(textOf(file)), 'values')[0]!.texts
  const { build } = parse(textOf(file)) as { build: GitLabJob }
  return build.parallel!.matrix[0]!.IMAGE
}
