import { boundProcesses } from './limits.ts';
import { busybox } from './process.ts';
import { kindOf, openFlags, toolsDirectory, writeText } from './system.ts';
import type { Configuration, GuestVolume } from './wire.ts';

/** Bytes of entropy that the kernel gets; `renew` expects them so (guest/renew.ts). */
const entropyBytes = 32;
const machineIdFile = '/etc/machine-id';

/** Makes the guest a sandbox's own. Throws what went wrong. */
export function configure(configuration: Configuration): void {
  const { hostname, volumes, fork, maxProcesses, ...moment } = configuration;
  renew(moment);
  writeText('/proc/sys/kernel/hostname', hostname);
  if (fork !== undefined && kindOf(machineIdFile) === 'file') {
    writeText(machineIdFile, `${fork.machineId}\n`);
  }
  boundProcesses(maxProcesses);
  for (const volume of volumes) mount(volume);
}

/** The program `renew`, which runs all the time: a process that waits is there at once. */
interface Renewal {
  readonly requests: number;
  readonly answers: number;
}

let renewal: Renewal | undefined;

export function startRenewal(): void {
  const pipes = [os.pipe(), os.pipe()];
  const [requests, answers] = pipes;
  if (!requests || !answers) throw new Error('no pipe could be opened');
  const random = os.open('/dev/urandom', openFlags.readWrite);
  const streams = { stdin: requests[0], stdout: random, stderr: answers[1] };
  const file = `${toolsDirectory}/renew`;
  os.exec(['anole'], { block: false, usePath: false, file, env: {}, ...streams });
  for (const fd of Object.values(streams)) os.close(fd);
  renewal = { requests: requests[1], answers: answers[0] };
}

/** Seeds the kernel's random numbers anew and sets its clock. */
function renew(moment: Pick<Configuration, 'entropy' | 'seconds' | 'nanoseconds'>): void {
  const message = renewalMessage(moment);
  if (renewal !== undefined && askRenewal(renewal, message)) return;
  // Somebody in the guest has killed it.
  startRenewal();
  if (askRenewal(renewal!, message)) return;
  throw new Error('the clock cannot be set');
}

function askRenewal({ requests, answers }: Renewal, message: ArrayBuffer): boolean {
  const answer = new Uint8Array(1);
  const done =
    os.write(requests, message, 0, message.byteLength) === message.byteLength &&
    os.read(answers, answer.buffer, 0, 1) === 1;
  return done && answer[0] === 0;
}

function renewalMessage({
  entropy,
  seconds,
  nanoseconds,
}: Pick<Configuration, 'entropy' | 'seconds' | 'nanoseconds'>): ArrayBuffer {
  const message = new DataView(new ArrayBuffer(entropyBytes + 16));
  for (let at = 0; at < entropyBytes; at++) {
    message.setUint8(at, Number.parseInt(entropy.slice(2 * at, 2 * at + 2), 16));
  }
  message.setUint32(entropyBytes, seconds, true);
  message.setUint32(entropyBytes + 4, Math.floor(seconds / 2 ** 32), true);
  message.setUint32(entropyBytes + 8, nanoseconds, true);
  return message.buffer as ArrayBuffer;
}

function mount({ tag, path, readOnly }: GuestVolume): void {
  if (kindOf(path) !== 'directory' && busybox(['mkdir', '-p', '--', path]) !== 0) {
    throw new Error(`cannot make the directory ${path}`);
  }
  const options = readOnly ? 'ro' : 'rw';
  if (busybox(['mount', '-t', 'virtiofs', '-o', options, tag, path]) !== 0) {
    throw new Error(`cannot mount a volume at ${path}`);
  }
}
