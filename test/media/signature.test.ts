import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as openpgp from 'openpgp'
import { type Trust, verifyClearsigned, verifyDetached } from '../../lib/media/signature.ts'
import { refusal } from '../refusal.ts'

const DAY = 86_400
const data = Buffer.from('0123  debian.iso\n')

type Pair = { privateKey: openpgp.PrivateKey; publicKey: openpgp.PublicKey }
/** A vendor's key, made in 2020, with a subkey that signs. */
async function makePair(years?: number): Promise<Pair> {
  return openpgp.generateKey({
    userIDs: [{ name: 'Vendor' }],
    type: 'ecc',
    format: 'object',
    date: new Date('2020-01-01'),
    subkeys: [{ sign: true }],
    ...(years !== undefined && { keyExpirationTime: years * 365 * DAY }),
  }) as Promise<Pair>
}
const vendor = await makePair()
const stranger = await makePair()
const retired = await makePair(1)

type SignOptions = { armoured?: boolean; date?: Date }
async function sign({ privateKey }: Pair, options: SignOptions = {}): Promise<Buffer> {
  const { armoured = true, date = new Date('2020-06-01') } = options
  const message = await openpgp.createMessage({ binary: data })
  const common = { message, signingKeys: privateKey, detached: true, date } as const
  return armoured
    ? Buffer.from(String(await openpgp.sign({ ...common, format: 'armored' })))
    : Buffer.from((await openpgp.sign({ ...common, format: 'binary' })) as Uint8Array)
}
const armoured = ({ publicKey }: Pair) => Buffer.from(publicKey.armor())
const binary = ({ publicKey }: Pair) => Buffer.from(publicKey.write())
const trust = (key: Buffer, ...pinned: Pair[]): Trust => ({
  keys: new Map([['vendor.gpg', key]]),
  pins: pinned.map(({ publicKey }) => publicKey.getFingerprint()),
})
const believed = trust(armoured(vendor), vendor)

const detached = suite('verifyDetached()')
detached('accepts the vendor’s signature, armoured or binary', async () => {
  for (const key of [armoured(vendor), binary(vendor)]) {
    for (const options of [{ armoured: true }, { armoured: false }]) {
      const signature = await sign(vendor, options)
      const signer = await verifyDetached('SUMS', data, signature, trust(key, vendor))
      assert.is(signer.fingerprint, vendor.publicKey.getFingerprint())
      assert.is(signer.signedAt.toISOString(), '2020-06-01T00:00:00.000Z')
    }
  }
})
detached('takes pins as vendors print them', async () => {
  const printed = vendor.publicKey
    .getFingerprint()
    .toUpperCase()
    .replaceAll(/(.{4})/g, '$1 ')
  await verifyDetached('SUMS', data, await sign(vendor), { ...believed, pins: [printed] })
})
detached('finds the pinned key in a ring of many', async () => {
  const ring = Buffer.concat([binary(stranger), binary(vendor)])
  await verifyDetached('SUMS', data, await sign(vendor), trust(ring, vendor))
})
detached('finds the pinned key behind others, in a file of several armours and words', async () => {
  const text = ['# keys of a vendor', armoured(stranger), '', armoured(retired), armoured(vendor)]
  const keys = Buffer.from(text.map(String).join('\n'))
  await verifyDetached('SUMS', data, await sign(vendor), trust(keys, vendor))
  await verifyDetached('SUMS', data, await sign(stranger), trust(keys, stranger))
})
detached('refuses changed data', async () => {
  const changed = Buffer.from('0123  debian.isp\n')
  const text = await refusal(verifyDetached('SUMS', changed, await sign(vendor), believed))
  assert.match(text, /^Cannot trust SUMS: signature by [0-9a-f]{16}: .*digest did not match/i)
})
detached('refuses a good signature by another key, also when that key lies beside', async () => {
  const ring = Buffer.concat([binary(stranger), binary(vendor)])
  const text = await refusal(
    verifyDetached('SUMS', data, await sign(stranger), trust(ring, vendor)),
  )
  assert.match(text, /a key that is not pinned/)
})
detached('refuses a key whose fingerprint is not pinned, and says both', async () => {
  const text = await refusal(
    verifyDetached('SUMS', data, await sign(stranger), trust(armoured(stranger), vendor)),
  )
  assert.ok(text.includes(stranger.publicKey.getFingerprint()))
  assert.ok(text.includes(vendor.publicKey.getFingerprint()))
  assert.match(text, /^Cannot use key "vendor\.gpg"/)
})
detached('accepts what a key signed before it expired', async () => {
  await verifyDetached('SUMS', data, await sign(retired), trust(armoured(retired), retired))
})
detached('refuses what a key signed after it expired', async () => {
  // The key's own owner would refuse to sign: it is made young again, as a thief of it would.
  const late = { date: new Date('2023-01-01') }
  const { privateKey } = await openpgp.reformatKey({
    privateKey: retired.privateKey,
    userIDs: [{ name: 'Vendor' }],
    keyExpirationTime: 0,
    date: new Date('2020-01-01'),
    format: 'object',
  })
  const signature = await sign({ ...retired, privateKey }, late)
  const text = await refusal(
    verifyDetached('SUMS', data, signature, trust(armoured(retired), retired)),
  )
  assert.match(text, /expired/)
})
detached('refuses a signature of the future', async () => {
  const date = new Date(Date.now() + 1000 * DAY * 1000)
  const text = await refusal(verifyDetached('SUMS', data, await sign(vendor, { date }), believed))
  assert.match(text, /^Cannot trust SUMS/)
})
for (const [what, signature] of [
  ['nothing', ''],
  ['an error page', '<html>404</html>'],
  ['a broken armour', '-----BEGIN PGP SIGNATURE-----\n\nnonsense\n-----END PGP SIGNATURE-----\n'],
] as const) {
  detached(`refuses ${what} in place of a signature`, async () => {
    const text = await refusal(verifyDetached('SUMS', data, Buffer.from(signature), believed))
    assert.match(text, /^Cannot (read the signature of|trust) SUMS/)
  })
}
detached('refuses a key file that is none', async () => {
  const text = await refusal(
    verifyDetached('SUMS', data, await sign(vendor), trust(Buffer.from('<html>'), vendor)),
  )
  assert.match(text, /^Cannot (read|use) key "vendor\.gpg"/)
})
detached.run()

const TEXT = 'Suite: stable\n- dashed\nSHA256:\n'
const clear = async ({ privateKey }: Pair) =>
  openpgp.sign({
    message: await openpgp.createCleartextMessage({ text: TEXT }),
    signingKeys: privateKey,
    date: new Date('2020-06-01'),
  })
const clearsigned = suite('verifyClearsigned()')
clearsigned('gives the text that was signed, and nothing around it', async () => {
  const signed = `forged: line before\n\n${await clear(vendor)}\nforged: line after\n`
  const { text } = await verifyClearsigned('InRelease', signed, believed)
  assert.not.match(text, /forged/)
  assert.match(text, /^Suite: stable\n- dashed\nSHA256:/)
})
clearsigned('refuses a changed line', async () => {
  const signed = (await clear(vendor)).replace('stable', 'stabel')
  assert.match(
    await refusal(verifyClearsigned('InRelease', signed, believed)),
    /Cannot trust InRel/,
  )
})
clearsigned('refuses another’s signature, and text without one', async () => {
  const other = verifyClearsigned('InRelease', await clear(stranger), believed)
  assert.match(await refusal(other), /not pinned/)
  assert.match(await refusal(verifyClearsigned('InRelease', TEXT, believed)), /^Cannot read InRel/)
})
clearsigned.run()
