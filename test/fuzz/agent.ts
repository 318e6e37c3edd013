import { AnoleError } from '@anole/bytes';
import {
  asciiBytes,
  asciiJson,
  protocolVersion,
  streamWindow,
  toHost,
} from '../../packages/sandbox/src/agent/wire.ts';
import { AgentClient } from '../../packages/sandbox/src/client/agent-client.ts';
import { collect } from '../../packages/sandbox/src/client/byte-stream.ts';
import { writeFrame } from '../../packages/sandbox/src/client/frames.ts';
import type { Target } from './targets.ts';

const json = (type: number, command: number, value: unknown) =>
  writeFrame(type, command, asciiBytes(asciiJson(value)));

/** What an agent says that has three commands, 1 to 3, and is asked for 4 and 5. */
function conversation(): Uint8Array {
  const credit = Uint8Array.of(0, 0, 1, 0, 0);
  const text = new TextEncoder().encode('some output of a command\n');
  return Buffer.concat([
    Uint8Array.of(200),
    json(toHost.hello, 0, { version: protocolVersion }),
    writeFrame(toHost.configured, 0, Uint8Array.of(9, 0, 0, 0, 3, 0, 0, 0)),
    writeFrame(toHost.started, 1, Uint8Array.of(40, 0, 0, 0)),
    writeFrame(toHost.stdout, 1, text),
    writeFrame(toHost.credit, 2, credit),
    json(toHost.refused, 3, { reason: 'not-found', code: 127, message: 'x: not found' }),
    writeFrame(toHost.stderr, 1, text),
    json(toHost.limit, 0, { limit: 'memory' }),
    writeFrame(toHost.synced, 4, new Uint8Array(0)),
    json(toHost.statistics, 5, { processes: 3, memory: { total: 9, available: 4 } }),
    writeFrame(toHost.streamEnd, 1, Uint8Array.of(1)),
    writeFrame(toHost.exit, 1, Uint8Array.of(3, 0, 0, 0)),
    writeFrame(toHost.streamEnd, 1, Uint8Array.of(2)),
    writeFrame(toHost.exit, 2, Uint8Array.of(0, 9, 1, 0)),
    writeFrame(toHost.dropped, 4, new Uint8Array(0)),
  ]);
}

/** The host's end of the agent protocol, which believes nothing. The first byte says how the rest is cut. */
export const agent: Target = {
  name: 'agent',
  seeds: new Map([['conversation', new Uint8Array(conversation())]]),
  async run(bytes) {
    const kinds = new Set<string>();
    const met = (what: string) => (error: unknown) => {
      if (!AnoleError.is(error)) throw error;
      const frames = [...(error.stack ?? '').matchAll(/\/([\w-]+\.ts:\d+):\d+\)?$/gm)];
      kinds.add([what, error.code, ...frames.slice(0, 3).map(([, place]) => place)].join(' '));
    };
    let deliver: (bytes: Uint8Array) => void = () => {};
    const channel = {
      send: () => {},
      receive: (handler: typeof deliver) => {
        deliver = handler;
      },
    };
    const client = new AgentClient(channel, 1);
    client.onLimit = (limit) => void kinds.add(`limit ${limit}`);
    const request = { argv: ['true'], env: {}, cwd: '/', stdin: true };
    const commands = [1, 2, 3].map(() => client.spawn(request));
    const waiting = [
      client.ready.then(() => kinds.add('ready'), met('ready')),
      client.sync().then(() => kinds.add('synced'), met('synced')),
      client.statistics().then((value) => kinds.add(Object.keys(value).join()), met('statistics')),
      ...commands.map(({ exit, started }) =>
        Promise.all([
          started.then(() => kinds.add('started'), met('started')),
          exit.then((report) => kinds.add(`exit ${Object.keys(report)}`), met('exit')),
        ]),
      ),
    ];
    const step = 1 + (bytes[0] ?? 0);
    for (let at = 1; at < bytes.length; at += step) deliver(bytes.slice(at, at + step));
    client.fail(new AnoleError('END', 'The guest is gone'));
    await Promise.all(waiting);
    for (const { stdout, stderr } of commands) {
      for (const stream of [stdout, stderr]) {
        const kept = await collect(stream).catch(() => new Uint8Array(0));
        if (kept.length > streamWindow) throw new Error(`${kept.length} bytes wait for a reader`);
      }
    }
    return kinds;
  },
};
