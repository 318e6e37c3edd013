import { launchField, launchHeaderBytes, launchMemory, utf8 } from '../agent/launch-request.ts';
import { asciiBytes, asciiJson, type SpawnOrder, type SpawnRequest } from '../agent/wire.ts';

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
  const order: SpawnOrder = {
    program: argv[0] ?? '',
    path: env.PATH,
    ...{ cwd, stdin },
    ...(user !== undefined && { user }),
    ...(terminal !== undefined && { terminal }),
  };
  const json = asciiBytes(asciiJson(order));
  const launch = launchBytes(request, env);
  const payload = new Uint8Array(4 + json.length + launch.length);
  new DataView(payload.buffer).setUint32(0, json.length, true);
  payload.set(json, 4);
  payload.set(launch, 4 + json.length);
  return payload;
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
): Uint8Array {
  const variables = Object.keys(env).map((name) => `${name}=${env[name]}`);
  const strings = ['/bin/sh', ...argv, ...variables, cwd, '/dev/null'];
  if (terminal !== undefined) strings.push(`/dev/${terminal}`);
  // argv has a place before it, for the shell that takes over a script.
  const argvAt = launchHeaderBytes + 8;
  const environmentAt = argvAt + 8 * (argv.length + 1);
  const freeAt = environmentAt + 8 * variables.length;
  const stringsAt = freeAt + 16;
  const text = utf8(`${strings.join('\0')}\0`);
  const bytes = new Uint8Array(stringsAt + text.length);
  bytes.set(text, stringsAt);
  const places: number[] = [];
  for (let at = stringsAt; at < bytes.length; at = bytes.indexOf(0, at) + 1) {
    places.push(launchMemory.address + at);
  }
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
  if (terminal !== undefined) set(launchField.terminal, places[rest + 2]!);
  set(launchField.keepsInput, stdin ? 1 : 0);
  if (!('HOME' in env)) set(launchField.home, freeAt);
  return bytes;
}
