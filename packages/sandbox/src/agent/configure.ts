import { boundProcesses } from './limits.ts';
import { busybox } from './process.ts';
import { kindOf, openFlags, toolsDirectory, writeBytes } from './system.ts';
import { asciiText, configureField, type GuestVolume } from './wire.ts';

/** Bytes of a message to `renew` (guest/renew.ts), which a payload begins with. */
const renewalBytes = 48;
const machineIdFile = '/etc/machine-id';
/** When the machine id goes to the file system: after the answer, which would wait for the host to take it. */
const closeAfter = 10; // ms

/**
 * Makes the guest a sandbox's own. Throws what went wrong.
 *
 * @param payload of a frame `configure`
 * @returns whether this is a copy of a machine that ran
 */
export function configure(payload: Uint8Array): boolean {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  renew(payload);
  let at: number = configureField.texts;
  const next = (field: number): Uint8Array | undefined => {
    const length = view.getUint32(field, true);
    if (length === 0) return undefined;
    at += length;
    return payload.subarray(at - length, at);
  };
  const hostname = next(configureField.hostnameLength);
  if (hostname !== undefined) writeBytes('/proc/sys/kernel/hostname', hostname);
  const processes = next(configureField.processesLength);
  if (processes !== undefined) boundProcesses(processes);
  const machineId = next(configureField.machineIdLength);
  if (machineId !== undefined) writeMachineId(machineId);
  const volumes = next(configureField.volumesLength);
  if (volumes !== undefined) {
    for (const volume of JSON.parse(asciiText(volumes)) as GuestVolume[]) mount(volume);
  }
  return machineId !== undefined;
}

/** Writes it where there is one. What is there in its place must not keep the agent. */
function writeMachineId({ buffer, byteOffset, length }: Uint8Array): void {
  const { writeOnly, nonBlock, noControl } = openFlags;
  const fd = os.open(machineIdFile, writeOnly | nonBlock | noControl);
  if (fd < 0) return;
  os.write(fd, buffer as ArrayBuffer, byteOffset, length);
  os.setTimeout(() => os.close(fd), closeAfter);
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
function renew(message: Uint8Array): void {
  if (renewal !== undefined && askRenewal(renewal, message)) return;
  // Somebody in the guest has killed it.
  startRenewal();
  if (askRenewal(renewal!, message)) return;
  throw new Error('the clock cannot be set');
}

function askRenewal({ requests, answers }: Renewal, { buffer, byteOffset }: Uint8Array): boolean {
  const answer = new Uint8Array(1);
  const done =
    os.write(requests, buffer as ArrayBuffer, byteOffset, renewalBytes) === renewalBytes &&
    os.read(answers, answer.buffer, 0, 1) === 1;
  return done && answer[0] === 0;
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
