/**
 * Hand a tested image over to where images are taken from.
 *
 *   ./bin/publish-image bits/debian-12/.../debian-12-20260508.imgmanifest --to imgapi --url http://imgapi.dc.example.com
 *
 * Prints where it is now. Called again it finds that it is there, and changes nothing.
 */
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions } from '../lib/cli/options.ts'
import { step } from '../lib/cli/progress.ts'
import { checkTested } from '../lib/publish/gate.ts'
import { readPublication } from '../lib/publish/publication.ts'
import {
  choosePublisher,
  describePublishers,
  PUBLISHER_NAMES,
  publisherOptions,
} from '../lib/publish/publishers.ts'

const command = {
  name: 'publish-image',
  summary: 'Hand a tested image over to where images are taken from, and print where it is then.',
  words: ['MANIFEST'],
  details: [
    'The image lies beside the manifest; one that has no manifest is named itself. It has to have passed',
    'test-image, as the record <name>.test.json beside the manifest says. A second call changes nothing; one',
    'that fails or is interrupted takes away what it brought.',
  ],
  options: {
    to: {
      arg: 'NAME',
      choices: PUBLISHER_NAMES,
      required: true,
      help: 'who takes it; options of another one are refused',
    },
    untested: { help: 'also an image that has not passed test-image, with a warning' },
    ...publisherOptions,
    'dry-run': { help: 'print what would be done; ask no server, touch nothing' },
    json: { help: 'print the result as JSON' },
    ...commonOptions,
  },
  sections: [{ title: 'Who takes it, for --to', rows: describePublishers() }],
  examples: [
    './bin/publish-image debian-12-20260508.imgmanifest --to imgapi --url http://imgapi.dc.example.com',
    './bin/publish-image debian-12-20260508.imgmanifest --to imgapi --url https://updates.example.com --channel auto --user builder --identity ~/.ssh/automation.id_rsa',
    './bin/publish-image debian-12-20260508.imgmanifest --to manta --url https://manta.example.com --user ops --path /ops/public/builds',
    './bin/publish-image custom-cloudimg.tar.gz --to maas --url http://192.0.2.1:5240/MAAS --api-key maas.key --untested',
    './bin/publish-image golden.qcow2 --to libvirt --connect qemu+ssh://host/system --pool images --untested',
    './bin/publish-image debian-12-20260508.imgmanifest --to imgapi --url http://imgapi.dc.example.com --dry-run',
  ],
} as const

await main(command, async ({ options, words, scope }) => {
  const publisher = choosePublisher(options.to, options)
  const publication = await step('Read the image', () => readPublication(words[0]!))
  await checkTested(publication, options.untested)
  const published = await step('Publish', (report) => publisher.publish(publication, scope, report))
  published.lines.forEach((line) => log.info(line))
  console.log(options.json ? JSON.stringify(published, undefined, 2) : published.where)
})
