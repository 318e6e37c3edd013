import { utf8 } from '../agent/launch-request.ts';
import {
  asciiBytes,
  asciiJson,
  type Configuration,
  configureField,
  type ForkedCommand,
} from '../agent/wire.ts';
import { SandboxError } from '../errors.ts';
import type { Frame } from './frames.ts';

const none = new Uint8Array(0);
const streams = [0, 1, 2];

/** The payload of the frame `configure`. See {@link setMoment}. */
export function configurePayload(configuration: Configuration): Uint8Array<ArrayBuffer> {
  const { hostname, entropy, volumes, maxProcesses, fork } = configuration;
  const texts: readonly (readonly [number, Uint8Array])[] = [
    [configureField.hostnameLength, utf8(hostname)],
    [configureField.processesLength, maxProcesses ? asciiBytes(`${maxProcesses}`) : none],
    [configureField.machineIdLength, fork ? asciiBytes(`${fork.machineId}\n`) : none],
    [configureField.volumesLength, volumes.length > 0 ? asciiBytes(asciiJson(volumes)) : none],
  ];
  const size = texts.reduce<number>((sum, [, text]) => sum + text.length, configureField.texts);
  const payload = new Uint8Array(size);
  const view = new DataView(payload.buffer);
  payload.set(entropy, configureField.entropy);
  let at: number = configureField.texts;
  for (const [field, text] of texts) {
    view.setUint32(field, text.length, true);
    payload.set(text, at);
    at += text.length;
  }
  return payload;
}

/** Writes what time it is into a payload of `configure`. @param now milliseconds since 1970 */
export function setMoment({ buffer, byteOffset }: Uint8Array, now: number): void {
  const view = new DataView(buffer, byteOffset);
  view.setBigUint64(configureField.seconds, BigInt(Math.floor(now / 1000)), true);
  view.setBigUint64(configureField.nanoseconds, BigInt(Math.round((now % 1000) * 1e6)), true);
}

/**
 * Commands that run in a copy, of its answer to `configure`.
 *
 * @throws SandboxError `SANDBOX_AGENT` where it is no such list
 */
export function forkedCommands({ payload }: Frame): ForkedCommand[] {
  if (payload.length % 8 !== 0) {
    throw new SandboxError('SANDBOX_AGENT', 'Cannot read from the agent: a list has half an entry');
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return Array.from({ length: payload.length / 8 }, (_, index) => {
    const open = view.getUint32(8 * index + 4, true);
    return {
      id: view.getUint32(8 * index, true),
      streams: streams.filter((stream) => (open & (1 << stream)) !== 0),
    };
  });
}
