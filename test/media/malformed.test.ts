/** What a vendor's server, a mirror, somebody on the way, or a file on a shelf could hold in place of media. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as openpgp from 'openpgp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { findLoader } from '../../lib/media/boot-cd.ts'
import { newestMatch, parseChecksums } from '../../lib/media/checksums.ts'
import { checkGiven, parseDigest } from '../../lib/media/given.ts'
import { checkIso } from '../../lib/media/iso9660.ts'
import { writeTree } from '../../lib/media/initrd.ts'
import { fetchMedia, newestLinkIn } from '../../lib/media/media.ts'
import { readTreeinfo } from '../../lib/media/medium.ts'
import { checkKeys, verifyClearsigned, verifyDetached } from '../../lib/media/signature.ts'
import {
  anyBytes,
  anyText,
  changedJson,
  damaged,
  fc,
  holds,
  isLine,
  linesOf,
  soon,
  told,
} from '../properties.ts'
import { inTemporaryDir } from '../temporary.ts'

const data = Buffer.from(`${'ab'.repeat(32)}  debian.iso\n`)
const { privateKey, publicKey } = (await openpgp.generateKey({
  userIDs: [{ name: 'Vendor' }],
  type: 'ecc',
  format: 'object',
})) as { privateKey: openpgp.PrivateKey; publicKey: openpgp.PublicKey }
const armour = Buffer.from(publicKey.armor())
const trust = { keys: new Map([['vendor.asc', armour]]), pins: [publicKey.getFingerprint()] }
const signed = {
  message: await openpgp.createMessage({ binary: data }),
  signingKeys: privateKey,
  detached: true,
} as const
const signature = Buffer.from(String(await openpgp.sign(signed)))
const binary = Buffer.from((await openpgp.sign({ ...signed, format: 'binary' })) as Uint8Array)
const clear = String(
  await openpgp.sign({
    message: await openpgp.createCleartextMessage({ text: data.toString() }),
    signingKeys: privateKey,
  }),
)

const signatures = suite('signatures, whatever is there in their place')
signatures('vouch for what was signed, and for nothing else', () =>
  holds(
    40,
    fc.oneof(
      fc.tuple(fc.oneof(damaged(signature), damaged(binary), anyBytes(80)), fc.constant(data)),
      fc.tuple(fc.constantFrom(signature, binary), damaged(data)),
    ),
    async ([made, content]) => {
      const error = await told(() => verifyDetached('SUMS', content, made, trust))
      if (!error) assert.ok(content.equals(data))
    },
  ),
)
signatures('within a text vouch for that text', () =>
  holds(60, fc.oneof(damaged(Buffer.from(clear)).map(String), anyText(60)), async (text) => {
    await told(async () => {
      const found = await verifyClearsigned('SUMS', text, trust)
      // Blanks at the ends of lines are no part of it.
      const stripped = (one: string) => one.replaceAll(/[ \t\r]+$/gm, '').trimEnd()
      assert.is(stripped(found.text), stripped(data.toString()))
    })
  }),
)
signatures('are of keys that are pinned, whatever a key file holds', () =>
  holds(60, fc.oneof(damaged(armour), anyBytes(60)), async (bytes) => {
    await told(() => checkKeys({ ...trust, keys: new Map([['x', bytes]]) }))
  }),
)
signatures('are found in time that grows with the file', async () => {
  for (const piece of [
    '-----BEGIN PGP PUBLIC KEY BLOCK-----\n',
    '-----BEGIN PGP SIGNED MESSAGE-----\n',
    '-----',
    '\n',
    '=',
  ]) {
    // An armour's beginning is long: squared shows late.
    const text = piece.repeat(Math.ceil((piece.length > 30 ? 1_200_000 : 100_000) / piece.length))
    await soon(async () => {
      await told(() => checkKeys({ ...trust, keys: new Map([['x', Buffer.from(text)]]) }))
      await told(() => verifyClearsigned('SUMS', text, trust))
      await told(() => verifyDetached('SUMS', data, Buffer.from(text), trust))
    })
  }
})
signatures.run()

const HEX = 'ab'.repeat(32)
const lists = suite('checksum lists')
lists('have the digests that were written, in either layout', () =>
  holds(
    150,
    fc.tuple(
      fc.uniqueArray(fc.stringMatching(/^[\w.+-][\w.+ -]{0,20}[\w.+-]$/), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.array(fc.constantFrom('gnu', 'binary', 'bsd', 'dotted'), { minLength: 5, maxLength: 5 }),
      fc.array(fc.constantFrom(64, 128), { minLength: 5, maxLength: 5 }),
      linesOf(['# ', '-----BEGIN', 'MD5 (', ') = ', 'abc', ' '], 3),
    ),
    ([files, layouts, lengths, noise]) => {
      const digests = files.map((_, i) => String(i).repeat(lengths[i]!))
      const lines = files.map((file, i) => {
        const hex = digests[i]!
        if (layouts[i] === 'bsd')
          return `SHA${lengths[i] === 64 ? 256 : 512} (${file}) = ${hex.toUpperCase()}`
        return `${hex} ${layouts[i] === 'binary' ? '*' : ' '}${layouts[i] === 'dotted' ? './' : ''}${file}`
      })
      const read = parseChecksums([noise, ...lines, noise].join('\r\n'))
      files.forEach((file, i) => {
        assert.equal(read.get(file), {
          algorithm: lengths[i] === 64 ? 'sha256' : 'sha512',
          hex: digests[i],
        })
      })
      const newest = newestMatch(read.keys(), /./, 'here')
      assert.ok(read.has(newest))
    },
  ),
)
lists('of any text have digests that are some, soon', async () => {
  await holds(
    150,
    linesOf([HEX, '  ', ' *', 'SHA256 (', ') = ', 'x.iso', '\r'], 6),
    async (text) => {
      for (const [file, { algorithm, hex }] of parseChecksums(text)) {
        assert.ok(file !== '' && !file.includes('\n'))
        assert.match(hex, algorithm === 'sha256' ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{128}$/)
      }
      await told(() => newestMatch(parseChecksums(text).keys(), /^x/, 'here'))
      await told(() => parseDigest(text))
    },
  )
  for (const piece of ['a', ' ', 'SHA256 (', ') = a', '  x', HEX]) {
    await soon(() => parseChecksums(piece.repeat(Math.ceil(500_000 / piece.length))))
  }
})
lists.run()

const NAMES = ['Rocky-9-dvd.iso', 'Rocky-10.1-dvd.iso', 'x']
const pages = suite('pages with links')
pages('lead to a folder on a server, or nowhere', () =>
  holds(
    250,
    linesOf(
      [
        '<a href="',
        "<a href='",
        ' href=',
        ...NAMES,
        'http://other/a/',
        '../b/',
        'data:a/',
        'mailto:',
        'file:///',
        '//[',
        '"',
        '>',
        '?',
        '#',
        '%2e%2e/',
        '%zz',
      ],
      6,
    ),
    async (text) => {
      const error = await told(() => {
        const { name, folder, found } = newestLinkIn(
          text,
          'http://vendor/iso/',
          /^Rocky-([\d.]+)-dvd\.iso$/,
        )
        assert.match(folder, /^https?:\/\/[^/]+\/(.*\/)?$/)
        assert.is(found[0], name)
        assert.ok(text.includes(found[1]!))
      })
      if (error) assert.ok(isLine(error.message), error.message)
    },
  ),
)
pages('are read in time that grows with them', async () => {
  for (const piece of ['href', 'href=', 'href = ', ' ', '"', '<a href="x">']) {
    await soon(() =>
      told(() =>
        newestLinkIn(piece.repeat(Math.ceil(300_000 / piece.length)), 'http://v/', /^Rocky/),
      ),
    )
  }
})
pages.run()

const source = {
  name: 'debian-12',
  roots: ['http://vendor/'],
  sums: 'SUMS',
  signature: 'none',
  file: /x/,
  trust: undefined,
} as const
const note = { name: 'x.iso', digest: { algorithm: 'sha256', hex: HEX }, from: 'http://vendor/' }

const files = suite('files in place of media')
files('in the cache are media, or fetched anew', () =>
  inTemporaryDir(async (dir) => {
    await mkdir(join(dir, `sha256-${HEX.slice(0, 16)}`))
    await holds(
      100,
      fc.oneof(
        changedJson(note).map((value) => JSON.stringify(value)),
        damaged(Buffer.from(JSON.stringify(note))).map(String),
      ),
      async (text) => {
        await writeFile(join(dir, 'debian-12.json'), text)
        const error = await told(() => fetchMedia(source, dir, { offline: true }))
        assert.match(error!.message, /^Cannot use debian-12's media offline: /)
      },
    )
  }),
)
files('that an operator names are addresses with a digest, or files', () =>
  holds(
    150,
    fc.oneof(
      anyText(10),
      anyText(10).map((text) => `http://${text}`),
      fc.constantFrom('http://[', 'https://a b'),
    ),
    async (iso) => {
      const error = await told(() => checkGiven({ iso, checksum: HEX }))
      if (!error && /^https?:/.test(iso) && iso.includes('//')) assert.ok(URL.canParse(iso), iso)
    },
  ),
)
files('are an ISO image, or refused', () =>
  inTemporaryDir((dir) =>
    holds(
      40,
      fc.oneof(
        anyBytes(40),
        anyBytes(40).map((bytes) => Buffer.concat([Buffer.alloc(32768), bytes])),
      ),
      async (bytes) => {
        const path = join(dir, 'x.iso')
        await writeFile(path, bytes)
        const error = await told(() => checkIso(path))
        assert.is(error === undefined, bytes.subarray(32769, 32774).toString() === 'CD001')
      },
    ),
  ),
)
files('have notes that say a release, or nothing', async () => {
  await holds(
    150,
    linesOf(['[general]', 'family = ', 'version=', 'arch =', '[x]', 'Rocky', ' ', '9.5'], 8),
    (text) => {
      const tree = readTreeinfo(text)
      if (tree !== undefined) assert.ok(text.includes('[general]') && !tree.includes('\n'))
    },
  )
  for (const piece of ['[general]\n', 'family = ', ' ', 'x ', '\n']) {
    await soon(() =>
      readTreeinfo(`[general]\nfamily = x${piece.repeat(Math.ceil(300_000 / piece.length))}x`),
    )
  }
})
files('have a boot loader, or none', () =>
  holds(
    100,
    fc.array(
      fc.oneof(
        fc.constantFrom(
          '/isolinux/isolinux.bin',
          '/isolinux/ldlinux.c32',
          '/boot/grub2/i386-pc/a.mod',
          '/images/eltorito.img',
          '/x',
        ),
        anyText(9),
      ),
      { maxLength: 6 },
    ),
    async (paths) => {
      await told(() => {
        const { files: taken, image } = findLoader(paths, 'x.iso')
        assert.ok([...taken.keys()].every((path) => paths.includes(path)))
        assert.ok([...taken.values()].includes(image))
      })
    },
  ),
)
let trees = 0
files('that are added to an initrd lie where they were to', () =>
  inTemporaryDir((dir) =>
    holds(
      15,
      fc.tuple(fc.stringMatching(/^[a-z]{1,3}(\/[a-z]{1,3}){0,3}$/), anyText(20)),
      async ([to, text]) => {
        const tree = join(dir, String((trees += 1)))
        await writeTree([{ to, from: { text }, mode: 0o644 }], tree)
        assert.is(await readFile(join(tree, to), 'utf8'), Buffer.from(text).toString())
      },
    ),
  ),
)
files.run()
