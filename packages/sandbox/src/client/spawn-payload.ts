import { launchField, launchHeaderBytes, launchMemory, utf8 } from '../agent/launch-request.ts';
import {
  asciiBytes,
  asciiJson,
  type Candidate,
  type SpawnOrder,
  type SpawnRequest,
} from '../agent/wire.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Payload of the frame `spawn`: what the agent has to look at, and the memory of the program `launch`
 * but for what only the guest knows. The agent is interpreted twice over: what is done here takes it half
 * a million instructions.
 */
export function spawnPayload(request: SpawnRequest): Uint8Array<ArrayBuffer> {
  const { argv, cwd, user, terminal, stdin } = request;
  const home = user === undefined ? { HOME: '/root' } : {};
  const env = { PATH: defaultPath, ...home, ...request.env };
  const program = argv[0] ?? '';
  const { bytes: launch, candidates } = launchBytes(request, env, filesOf(program, env.PATH, cwd));
  const order: SpawnOrder = {
    ...{ program, candidates, cwd, stdin },
    ...(user !== undefined && { user }),
    ...(terminal !== undefined && { terminal }),
  };
  const json = asciiBytes(asciiJson(order));
  const payload = new Uint8Array(4 + json.length + launch.length);
  new DataView(payload.buffer).setUint32(0, json.length, true);
  payload.set(json, 4);
  payload.set(launch, 4 + json.length);
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

/** Memory of `launch`, with room for HOME where the guest has to look it up. */
function launchBytes(
  { argv, cwd, terminal, stdin }: SpawnRequest,
  env: Readonly<Record<string, string>>,
  files: readonly string[],
): { readonly bytes: Uint8Array; readonly candidates: readonly Candidate[] } {
  const variables = Object.keys(env).map((name) => `${name}=${env[name]}`);
  const strings = ['/bin/sh', ...argv, ...variables, cwd, '/dev/null'];
  const file = strings.length;
  for (const each of files) strings.push(each, `anole: cannot execute ${each}\n`);
  if (terminal !== undefined) strings.push(`/dev/${terminal}`);
  // argv has a place before it, for the shell that takes over a script.
  const argvAt = launchHeaderBytes + 8;
  const environmentAt = argvAt + 8 * (argv.length + 1);
  const freeAt = environmentAt + 8 * variables.length;
  const stringsAt = freeAt + 16;
  const text = utf8(`${strings.join('\0')}\0`);
  const bytes = new Uint8Array(stringsAt + text.length);
  bytes.set(text, stringsAt);
  const offsets: number[] = [];
  for (let at = stringsAt; at < bytes.length; at = bytes.indexOf(0, at) + 1) offsets.push(at);
  const places = offsets.map((at) => launchMemory.address + at);
  const view = new DataView(bytes.buffer);
  const set = (at: number, value: number) => view.setUint32(at, value, true);
  const variable = 1 + argv.length;
  const rest = variable + variables.length;
  set(launchHeaderBytes, places[0]!);
  for (let at = 0; at < argv.length; at++) set(argvAt + 8 * at, places[1 + at]!);
  for (let at = 0; at < variables.length; at++) {
    set(environmentAt + 8 * at, places[variable + at]!);
  }
  set(launchField.argv, launchMemory.address + argvAt);
  set(launchField.environment, launchMemory.address + environmentAt);
  set(launchField.directory, places[rest]!);
  set(launchField.null, places[rest + 1]!);
  if (terminal !== undefined) set(launchField.terminal, places.at(-1)!);
  set(launchField.keepsInput, stdin ? 1 : 0);
  if (!('HOME' in env)) set(launchField.home, freeAt);
  const end = (string: number) => (offsets[string + 1] ?? bytes.length) - 1;
  const candidates = files.map((each, index) => {
    const [path, message] = [file + 2 * index, file + 2 * index + 1];
    const messageLength = end(message) - offsets[message]!;
    return { file: each, path: offsets[path]!, message: offsets[message]!, messageLength };
  });
  return { bytes, candidates };
}
