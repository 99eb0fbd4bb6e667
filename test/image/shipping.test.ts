import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../lib/cli/errors.ts'
import { formatFor, namesFor, type Shipping } from '../../lib/image/shipping.ts'

const wish = (given: Partial<Shipping>): Shipping => ({
  target: 'smartos',
  format: undefined,
  name: undefined,
  layout: 'plain',
  ...given,
})
function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    assert.instance(error, UsageError)
    return `${(error as UsageError).message}. ${(error as UsageError).hint}`
  }
  return 'accepted'
}

const format = suite('formatFor()')
for (const [given, expected] of [
  [{}, 'zfs.gz'],
  [{ format: 'zfs.gz' }, 'zfs.gz'],
  [{ target: 'maas' }, 'tgz'],
  [{ target: 'maas', format: 'ddgz' }, 'ddgz'],
  [{ target: 'maas', format: 'ddgz', layout: 'lvm' }, 'ddgz'],
] as const) {
  format(`${JSON.stringify(given)} is ${expected}`, () => {
    assert.is(formatFor(wish(given)), expected)
  })
}
for (const [given, expected] of [
  [{ format: 'tgz' }, /--format tgz does not fit --target smartos\. It takes zfs\.gz$/],
  [{ format: 'ddgz' }, /--format ddgz does not fit --target smartos/],
  [{ target: 'maas', format: 'zfs.gz' }, /--target maas\. It takes tgz or ddgz$/],
  [{ target: 'maas', layout: 'lvm' }, /--layout lvm does not fit --format tgz/],
] as const) {
  format(`refuses ${JSON.stringify(given)}`, () => {
    assert.match(
      refusal(() => formatFor(wish(given))),
      expected,
    )
  })
}
format.run()

const names = suite('namesFor()')
const maas = (name: string | undefined) => wish({ target: 'maas', name })
names('has a date, where nobody chose a name', () => {
  const usual = { name: 'debian-12', fileName: 'debian-12-20260508' }
  assert.equal(namesFor(maas(undefined), 'debian-12', 'tgz', '20260508'), usual)
  assert.equal(namesFor(wish({}), 'debian-12', 'zfs.gz', '20260508'), usual)
})
names('for MAAS is the one that was chosen, with or without the ending', () => {
  for (const given of ['custom-cloudimg', 'custom-cloudimg.tar.gz']) {
    const expected = { name: 'custom-cloudimg', fileName: 'custom-cloudimg' }
    assert.equal(namesFor(maas(given), 'x', 'tgz', '1'), expected)
  }
  const disk = namesFor(maas('custom-ubuntu-lvm.dd.gz'), 'x', 'ddgz', '1')
  assert.is(disk.fileName, 'custom-ubuntu-lvm')
})
names('for SmartOS keeps the version, which its manifest has', () => {
  const { name, fileName } = namesFor(wish({ name: 'my-image' }), 'x', 'zfs.gz', '20260508')
  assert.is(name, 'my-image')
  assert.is(fileName, 'my-image-20260508')
})
names("refuses another format's ending", () => {
  assert.match(
    refusal(() => namesFor(maas('custom-ubuntu.tar.gz'), 'x', 'ddgz', '1')),
    /--name custom-ubuntu\.tar\.gz does not fit --format ddgz\. Its file ends in \.dd\.gz; choose --format tgz/,
  )
})
names.run()
