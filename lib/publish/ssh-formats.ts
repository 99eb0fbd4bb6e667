/**
 * npm's `sshpk`, which reads and writes the formats of keys and signatures, loaded when the first key comes: most of
 * what publishes needs none, and it takes longer than the rest of a command's start.
 */
import { createRequire } from 'node:module'
import type sshpk from 'sshpk'

const load = createRequire(import.meta.url)

export const sshFormats = () => load('sshpk') as typeof sshpk
