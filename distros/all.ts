/** Every distro that images are built of. */
import { almalinux } from './almalinux.ts'
import { centos } from './centos.ts'
import { debian } from './debian.ts'
import type { Distro } from './distro.ts'
import { oraclelinux } from './oraclelinux.ts'
import { rocky } from './rocky.ts'
import { ubuntu } from './ubuntu.ts'

export const distros: readonly Distro[] = [almalinux, centos, debian, oraclelinux, rocky, ubuntu]
