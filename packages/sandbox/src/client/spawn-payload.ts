import { launchField, launchHeaderBytes, launchMemory, utf8 } from '../agent/launch-request.ts';
import {
  candidateBytes,
  candidateField,
  type SpawnRequest,
  spawnField,
  spawnFlag,
} from '../agent/wire.ts';
import { SandboxError } from '../errors.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Payload of the frame `spawn`: what the agent has to look at, and the memory of the program `launch`
 * but for what only the guest knows. The agent is interpreted twice over: what is done here takes it half
 * a million instructions.
 *
 * @throws SandboxError `SANDBOX_BAD_OPTION` on a text with a NUL, of the caller or of the image
 */
export function spawnPayload(request: SpawnRequest): Uint8Array<ArrayBuffer> {
  const { argv, cwd, user, stdin } = request;
  const home = user === undefined ? { HOME: '/root' } : {};
  const env = { PATH: defaultPath, ...home, ...request.env };
  const program = argv[0] ?? '';
  const { launch, places, isAscii } = launchBytes(request, env, filesOf(program, env.PATH, cwd));
  const { files } = places;
  const launchAt = spawnField.firstCandidate + candidateBytes * files.length;
  const payload = new Uint8Array(launchAt + launch.length);
  payload.set(launch, launchAt);
  const view = new DataView(payload.buffer);
  const set = (at: number, value: number) => view.setUint32(at, value, true);
  const setPlace = (at: number, place: Place | undefined) => {
    set(at, place?.at ?? 0);
    set(at + 4, place?.length ?? 0);
  };
  set(spawnField.launch, launchAt);
  set(spawnField.flags, (stdin ? spawnFlag.stdin : 0) | (isAscii ? 0 : spawnFlag.unicode));
  setPlace(spawnField.program, places.program);
  setPlace(spawnField.directory, places.directory);
  setPlace(spawnField.user, places.user);
  setPlace(spawnField.terminal, places.terminal);
  const [first, last] = [files[0]?.path, files.at(-1)?.path];
  if (first && last) {
    setPlace(spawnField.candidates, { at: first.at, length: last.at + last.length - first.at });
  }
  for (const [index, { path, message }] of files.entries()) {
    const at = spawnField.firstCandidate + candidateBytes * index;
    set(at + candidateField.path, path.at);
    setPlace(at + candidateField.message, message);
  }
  return payload;
}

/** Where execvp looks for a program. */
function filesOf(program: string, path: string, cwd: string): readonly string[] {
  if (program === '') return [];
  if (program.includes('/')) return [program.startsWith('/') ? program : `${cwd}/${program}`];
  const directories = path.split(':').map((directory) => (directory === '' ? cwd : directory));
  return [...new Set(directories)].map((directory) => `${directory}/${program}`);
}

/** Payload of the frame `rehearse`: payloads of `spawn`, the length of each before it. */
export function rehearsePayload(requests: readonly SpawnRequest[]): Uint8Array<ArrayBuffer> {
  const payloads = requests.map(spawnPayload);
  const bytes = new Uint8Array(payloads.reduce((sum, { length }) => sum + 4 + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const payload of payloads) {
    view.setUint32(at, payload.length, true);
    bytes.set(payload, at + 4);
    at += 4 + payload.length;
  }
  return bytes;
}

/** A string in the memory of `launch`: its offset there, and its bytes without the NUL. */
interface Place {
  readonly at: number;
  readonly length: number;
}

interface Launch {
  readonly launch: Uint8Array;
  readonly places: {
    readonly program: Place | undefined;
    readonly directory: Place;
    readonly user: Place | undefined;
    readonly terminal: Place | undefined;
    readonly files: readonly { readonly path: Place; readonly message: Place }[];
  };
  readonly isAscii: boolean;
}

/** Memory of `launch`, with room for HOME where the guest has to look it up. */
function launchBytes(
  { argv, cwd, user, terminal, stdin }: SpawnRequest,
  env: Readonly<Record<string, string>>,
  files: readonly string[],
): Launch {
  const variables = Object.keys(env).map((name) => `${name}=${env[name]}`);
  // argv has a place before it, for the shell that takes over a script.
  const argvAt = launchHeaderBytes + 8;
  const environmentAt = argvAt + 8 * (argv.length + 1);
  const freeAt = environmentAt + 8 * variables.length;
  const strings = new Strings(freeAt + 16);
  const shell = strings.add('/bin/sh');
  const words = argv.map((word) => strings.add(word));
  const settings = variables.map((variable) => strings.add(variable));
  const directory = strings.add(cwd);
  const nowhere = strings.add('/dev/null');
  const paths = files.map((file) => strings.add(file));
  const found = files.map((file, index) => ({
    path: paths[index]!,
    message: strings.add(`anole: cannot execute ${file}\n`),
  }));
  const device = terminal === undefined ? undefined : strings.add(`/dev/${terminal}`);
  const account = user === undefined ? undefined : strings.add(user);
  const launch = strings.bytes();
  const view = new DataView(launch.buffer);
  const set = (at: number, value: number) => view.setUint32(at, value, true);
  const point = (at: number, { at: place }: Place) => set(at, launchMemory.address + place);
  set(launchField.length, launch.length);
  point(launchHeaderBytes, shell);
  for (const [index, word] of words.entries()) point(argvAt + 8 * index, word);
  for (const [index, each] of settings.entries()) point(environmentAt + 8 * index, each);
  set(launchField.argv, launchMemory.address + argvAt);
  set(launchField.environment, launchMemory.address + environmentAt);
  point(launchField.directory, directory);
  point(launchField.null, nowhere);
  if (device !== undefined) point(launchField.terminal, device);
  set(launchField.keepsInput, stdin ? 1 : 0);
  if (!('HOME' in env)) set(launchField.home, freeAt);
  const places = { program: words[0], directory, user: account, terminal: device, files: found };
  return { launch, places, isAscii: strings.isAscii };
}

/** Strings that end with a NUL, one after the other behind room for something else. */
class Strings {
  readonly #start: number;
  readonly #all: Uint8Array[] = [];
  #end: number;
  isAscii = true;

  constructor(start: number) {
    this.#start = start;
    this.#end = start;
  }

  add(text: string): Place {
    if (text.includes('\0')) {
      throw new SandboxError('SANDBOX_BAD_OPTION', 'Cannot use a text with a NUL', {
        hint: 'Remove the NUL from the arguments, or from what the image says of its commands',
      });
    }
    const bytes = utf8(text);
    if (bytes.length !== text.length) this.isAscii = false;
    this.#all.push(bytes);
    const at = this.#end;
    this.#end += bytes.length + 1;
    return { at, length: bytes.length };
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#end);
    let at = this.#start;
    for (const each of this.#all) {
      bytes.set(each, at);
      at += each.length + 1;
    }
    return bytes;
  }
}
