/** Log-in at an instance, over the port that its machine forwards on the loopback. */
import { $ } from '../cli/run.ts'

export type Login = {
  port: number
  user: string
  /** Private key file. */
  key: string
}

/** ssh's words; nothing of the operator's own configuration or keys takes part. */
export function sshWords({ port, user, key }: Login): string[] {
  const settings = {
    BatchMode: 'yes',
    ConnectTimeout: '20',
    IdentitiesOnly: 'yes',
    LogLevel: 'ERROR',
    ServerAliveInterval: '30',
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
  }
  return [
    'ssh',
    ...['-F', '/dev/null'],
    ...['-i', key],
    ...['-p', String(port)],
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    `${user}@127.0.0.1`,
  ]
}

/** Run a shell script as root in the guest. */
export async function runInGuest(login: Login, script: string) {
  const shell = login.user === 'root' ? ['sh', '-s'] : ['sudo', '-n', 'sh', '-s']
  return $({ nothrow: true, input: script })`${sshWords(login)} ${shell}`
}

/** A new key pair without a passphrase; the public key as authorized_keys has it. */
export async function makeKey(path: string, comment: string): Promise<string> {
  await $`ssh-keygen -q -t ed25519 -N ${['']} -C ${comment} -f ${path}`
  const { stdout } = await $({ readOnly: true })`cat ${`${path}.pub`}`
  return stdout.trim()
}
