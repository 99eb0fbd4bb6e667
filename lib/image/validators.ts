/**
 * Triton's own validators of manifests, from npm's `imgmanifest`. Loaded when the first manifest comes: with all
 * that it requires it takes longer than the rest of a command's start.
 */
import { createRequire } from 'node:module'
import type imgmanifest from 'imgmanifest'

const load = createRequire(import.meta.url)

export const validators = () => load('imgmanifest') as typeof imgmanifest
