/** Who images are for. */
import { maas } from './maas.ts'
import { smartos } from './smartos.ts'
import type { Target } from './target.ts'

export const TARGETS = ['smartos', 'maas'] as const
export type TargetName = (typeof TARGETS)[number]

const targets: Record<TargetName, Target> = { smartos, maas }

export const targetOf = ({ target }: { target: TargetName }): Target => targets[target]
