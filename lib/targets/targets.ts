/** Who images are for. */
import { libvirt } from './libvirt.ts'
import { maas } from './maas.ts'
import { smartos } from './smartos.ts'
import type { Target } from './target.ts'

export const TARGETS = ['smartos', 'maas', 'libvirt'] as const
export type TargetName = (typeof TARGETS)[number]

const targets: Record<TargetName, Target> = { smartos, maas, libvirt }

export const targetOf = ({ target }: { target: TargetName }): Target => targets[target]
