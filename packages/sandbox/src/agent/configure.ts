import { busybox } from './process.ts';
import { kindOf, openFlags, toolsDirectory } from './system.ts';
import type { Configuration, GuestVolume } from './wire.ts';

/** Bytes of entropy that the kernel gets; `renew` expects them so (guest/renew.ts). */
const entropyBytes = 32;
const machineIdFile = '/etc/machine-id';

/** Makes the guest a sandbox's own. Throws what went wrong. */
export function configure({ hostname, volumes, fork, ...moment }: Configuration): void {
  renew(moment);
  write('/proc/sys/kernel/hostname', hostname);
  if (fork !== undefined && kindOf(machineIdFile) === 'file') {
    write(machineIdFile, `${fork.machineId}\n`);
  }
  for (const volume of volumes) mount(volume);
}

/** Seeds the kernel's random numbers anew and sets its clock: the program `renew` does both. */
function renew({
  entropy,
  seconds,
  nanoseconds,
}: Pick<Configuration, 'entropy' | 'seconds' | 'nanoseconds'>): void {
  const message = new DataView(new ArrayBuffer(entropyBytes + 16));
  for (let at = 0; at < entropyBytes; at++) {
    message.setUint8(at, Number.parseInt(entropy.slice(2 * at, 2 * at + 2), 16));
  }
  message.setUint32(entropyBytes, seconds, true);
  message.setUint32(entropyBytes + 4, Math.floor(seconds / 2 ** 32), true);
  message.setUint32(entropyBytes + 8, nanoseconds, true);
  const pipe = os.pipe();
  if (pipe === null) throw new Error('no pipe could be opened');
  const random = os.open('/dev/urandom', openFlags.readWrite);
  os.write(pipe[1], message.buffer as ArrayBuffer, 0, message.byteLength);
  const options = { block: true, usePath: false, file: `${toolsDirectory}/renew`, env: {} };
  const status = os.exec(['renew'], { ...options, stdin: pipe[0], stdout: random });
  for (const fd of [...pipe, random]) os.close(fd);
  if (status !== 0) throw new Error(`the clock cannot be set: status ${status}`);
}

function write(path: string, text: string): void {
  const fd = os.open(path, openFlags.writeOnly);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  os.write(fd, bytes.buffer, 0, bytes.length);
  os.close(fd);
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
