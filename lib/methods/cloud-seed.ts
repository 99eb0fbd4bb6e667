/**
 * What a vendor's cloud image is told on its first boot, by a CD that cloud-init's datasource NoCloud finds:
 * the operator's own user-data, and a script that sets the system up once cloud-init is through with it.
 * Source: cloud-init's documentation (datasource NoCloud; MIME multi-part user-data; cloud-init status).
 */
import type { Explanation } from '../machine/supervise.ts'
import { STAGING } from './guest.ts'
import { explainScript } from './script-failure.ts'
import { mimePart } from './user-data.ts'

/** Label of the CD. */
export const SEED_LABEL = 'CIDATA'
/** Where the guest's set-up lies on it. */
export const ON_CD = 'hybrid-images'

/** In order; each has to say ok. */
export const CLOUD_MARKERS = ['BOOT', 'CLOUD_INIT', 'POST'] as const

export const META_DATA = 'instance-id: hybrid-images-build\nlocal-hostname: image-build\n'

/**
 * Nobody is to log in at the build: the vendor's default user would stay in the image, with the right to do all.
 * Said as a vendor says it, the operator's user-data has the last word.
 */
export const VENDOR_DATA = '#cloud-config\nusers: []\n'

const BOUNDARY = '=====hybrid-images====='

/** Sets $serial to the machine's serial console: a PL011 on QEMU's board for arm64, which no PC has. */
const FIND_SERIAL = 'serial=ttyS0; if [ -c /dev/ttyAMA0 ]; then serial=ttyAMA0; fi'

/**
 * Starts the set-up behind cloud-init's back: as a script of its own it would wait for itself. What the
 * system prints of it goes to the serial console.
 */
const STARTER = `#!/bin/sh
mkdir -p /run/hybrid-images
mount -o ro /dev/disk/by-label/${SEED_LABEL} /run/hybrid-images || exit 1
${FIND_SERIAL}
# At its end a log-in prompt would cut off everybody who writes there.
systemctl mask --runtime --now serial-getty@$serial.service
exec systemd-run --no-block --unit=hybrid-images --property=StandardInput=null \\
  --property=StandardOutput=file:/dev/$serial --property=StandardError=file:/dev/$serial \\
  /bin/sh /run/hybrid-images/${ON_CD}/run
`

/** Ours, and the operator's, as one text; neither changes the other. */
export function userData(own: string | undefined): string {
  const parts = [STARTER, ...(own === undefined ? [] : [own])].map(
    (text, i) => `--${BOUNDARY}\n${mimePart(text, `part-${i}`)}`,
  )
  return [
    `Content-Type: multipart/mixed; boundary="${BOUNDARY}"`,
    'MIME-Version: 1.0',
    '',
    ...parts,
    `--${BOUNDARY}--`,
    '',
  ].join('\n')
}

/** In front of what cloud-init complains of. */
const COMPLAINT = 'error: cloud-init, '

/** What the console says of a failure: cloud-init's own words, or a script's. */
export function explainGuest(console: string): Explanation | undefined {
  const said = console
    .split('\n')
    .filter((line) => line.startsWith(COMPLAINT))
    .map((line) => line.slice(COMPLAINT.length).trimEnd())
  const [first, ...others] = new Set(said)
  if (first === undefined) return explainScript(console)
  return {
    what: `cloud-init did not end well: ${first}`,
    hint: others.length > 0 ? others.join('\n  ') : undefined,
  }
}

/**
 * The script on the CD: waits for cloud-init, has the system set up by what lies beside it, and switches
 * the machine off before the system itself could write anything more.
 */
export const RUN = `#!/bin/sh
# Made by hybrid-images: runs once, in the cloud image that is made another.
cd /
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root DEBIAN_FRONTEND=noninteractive
say() { printf '\\n%s\\n' "$1"; }
off() {
  sync
  for key in s u o; do echo $key >/proc/sysrq-trigger; sleep 1; done
  poweroff -f
}
fail() {
  say "JOYENT_STATUS_$1=fail"
  off
}
say JOYENT_STATUS_BOOT=ok
# An older one ends well with user-data that its schema does not know, and only warns of it.
schema_is_kept() {
  [ -s /var/lib/cloud/instance/cloud-config.txt ] || return 0
  cloud-init schema --help >/dev/null 2>&1 || return 0
  said=$(cloud-init schema --system 2>&1) && return 0
  # Headings without a word behind them say nothing.
  echo "$said" | sed -e '/^ *$/d' -e '/^Error: *$/d' -e '/deprecations: *$/d' -e 's/^/${COMPLAINT}schema: /'
  return 1
}
# 1: it failed; 2: it came through, with errors on its way.
status=$(cloud-init status --wait --long 2>&1)
case $? in
0) schema_is_kept || fail CLOUD_INIT ;;
*)
  echo "$status"
  python=$(command -v python3 || echo /usr/libexec/platform-python)
  "$python" - <<'END' || true
import json
for stage, said in json.load(open('/run/cloud-init/status.json'))['v1'].items():
    if isinstance(said, dict):
        for error in said.get('errors', []):
            print('${COMPLAINT}%s: %s' % (stage, error))
        for level, texts in said.get('recoverable_errors', {}).items():
            for text in texts:
                print('${COMPLAINT}%s: %s: %s' % (stage, level, text))
END
  schema_is_kept
  fail CLOUD_INIT
  ;;
esac
say JOYENT_STATUS_CLOUD_INIT=ok
${FIND_SERIAL}
systemctl unmask --runtime serial-getty@$serial.service # the set-up enables it; nothing starts it any more
mkdir -p ${STAGING}
cp -R /run/hybrid-images/${ON_CD}/guest/. ${STAGING}/ || fail POST
# What a system does by the clock comes in between at any time: updates, cleaning, commits of etckeeper.
systemctl stop '*.timer' 2>/dev/null
systemctl stop rsyslog.service syslog.socket systemd-journald.service 'systemd-journald*.socket' 2>/dev/null
sh /run/hybrid-images/${ON_CD}/set-up || fail POST
say JOYENT_STATUS_POST=ok
off
`
