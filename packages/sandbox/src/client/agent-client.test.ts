import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  asciiBytes,
  asciiJson,
  asciiText,
  type ExitReport,
  exitReport,
  exitWord,
  protocolVersion,
  streamWindow,
  toGuest,
  toHost,
} from '../agent/wire.ts';
import { SandboxError } from '../errors.ts';
import { AgentClient } from './agent-client.ts';
import { type Frame, FrameReader, writeFrame } from './frames.ts';

/** A channel whose guest is the test. @param next as of a copy */
function guest(next?: number) {
  const sent: Frame[] = [];
  const reader = new FrameReader();
  let deliver: (bytes: Uint8Array) => void = () => {};
  const client = new AgentClient(
    {
      send: (bytes) => void sent.push(...reader.read(bytes.slice())),
      receive: (handler) => {
        deliver = handler;
      },
    },
    next,
  );
  const say = (type: number, command: number, payload: Uint8Array) =>
    deliver(writeFrame(type, command, payload));
  const sayJson = (type: number, command: number, value: unknown) =>
    say(type, command, asciiBytes(asciiJson(value)));
  const sayWord = (type: number, command: number, value: number) => {
    const payload = new DataView(new ArrayBuffer(4));
    payload.setUint32(0, value, true);
    say(type, command, new Uint8Array(payload.buffer));
  };
  return { client, sent, say, sayJson, sayWord, deliver: (bytes: Uint8Array) => deliver(bytes) };
}

const request = { argv: ['true'], env: {}, cwd: '/', stdin: true };
const configuration = {
  hostname: 'x',
  entropy: new Uint8Array(32),
  volumes: [],
};

test('frames come out whole however the bytes are cut', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
  const property = fc.property(payloads, fc.integer({ min: 1, max: 20 }), (list, step) => {
    const bytes = Buffer.concat(list.map((payload, index) => writeFrame(index, 7, payload)));
    const reader = new FrameReader();
    const frames: Frame[] = [];
    for (let at = 0; at < bytes.length; at += step) {
      frames.push(...reader.read(Uint8Array.from(bytes.subarray(at, at + step))));
    }
    assert.deepEqual(
      frames.map(({ type, payload }) => [type, [...payload]]),
      list.map((payload, index) => [index, [...payload]]),
    );
  });
  fc.assert(property, { seed: 60, numRuns: 200 });
});

test('whatever the guest sends, the client reports a coded error or goes on', () => {
  const property = fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
    const { client, deliver } = guest();
    const command = client.spawn(request);
    command.exit.catch((error) => assert.ok(error instanceof SandboxError));
    for (const chunk of chunks) deliver(chunk);
  });
  fc.assert(property, { seed: 61, numRuns: 300 });
});

test('damaged frames of known types end the conversation with a coded error', async () => {
  for (const type of Object.values(toHost)) {
    const { client, say } = guest();
    const command = client.spawn(request);
    say(type, 1, Uint8Array.of(0xff));
    say(250, 1, new Uint8Array(0));
    await assert.rejects(
      Promise.race([client.ready, command.exit, command.started.then(() => command.exit)]),
      SandboxError,
    );
  }
});

test('a guest that sends more than it was granted is told off', async () => {
  const { client, say } = guest();
  const command = client.spawn(request);
  for (let sent = 0; sent < streamWindow; sent += 32768) {
    say(toHost.stdout, command.id, new Uint8Array(32768));
  }
  say(toHost.stderr, command.id, Uint8Array.of(1));
  say(toHost.stdout, command.id, new Uint8Array(0));
  await command.stdout.next();
  say(toHost.stdout, command.id, Uint8Array.of(1));
  await assert.rejects(command.exit, { code: 'SANDBOX_AGENT' });
});

test('a guest that tells of limits all the time is not heard all the time', () => {
  const { client, sayJson } = guest();
  let heard = 0;
  client.onLimit = () => void heard++;
  for (let time = 0; time < 1000; time++) sayJson(toHost.limit, 0, { limit: 'memory' });
  assert.ok(heard >= 1 && heard <= 3, `${heard}`);
});

test('a command that ends without having been started is a mistake of the agent', async () => {
  const { client, sayWord } = guest();
  const command = client.spawn(request);
  sayWord(toHost.exit, command.id, exitWord({ code: 0 }));
  await assert.rejects(command.started, { code: 'SANDBOX_AGENT' });
});

test('what a copy’s commands print before it says who they are is theirs', async () => {
  let deliver: (bytes: Uint8Array) => void = () => {};
  const channel = {
    send: () => {},
    receive: (handler: typeof deliver) => {
      deliver = handler;
    },
  };
  const client = new AgentClient(channel, 9);
  for (const [command, text] of [
    [3, 'one'],
    [4, 'other'],
    [3, 'two'],
  ] as const) {
    deliver(writeFrame(toHost.stdout, command, asciiBytes(text)));
  }
  deliver(writeFrame(toHost.configured, 0, Uint8Array.of(3, 0, 0, 0, 0b110, 0, 0, 0)));
  deliver(writeFrame(toHost.stdout, 3, new Uint8Array(streamWindow)));
  const { stdout } = client.command(3)!;
  const first = [await stdout.next(), await stdout.next()].map(({ value }) => asciiText(value!));
  assert.deepEqual(first, ['one', 'two']);
  assert.equal(client.command(4), undefined);
  const flooded = new AgentClient(channel, 9);
  flooded.configure(configuration).catch(() => {});
  const frame = writeFrame(toHost.stdout, 3, new Uint8Array(1 << 20));
  for (let count = 0; count < 65; count++) deliver(frame);
  await assert.rejects(flooded.ready, { code: 'SANDBOX_AGENT' });
});

test('small frames that a copy cannot tell whose they are count for what they take', async () => {
  for (const [size, isKept] of [
    [0, true],
    [1, false],
  ] as const) {
    const { client, deliver } = guest(9);
    const frame = writeFrame(toHost.stdout, 3, new Uint8Array(size));
    const many = Buffer.concat(Array.from({ length: 1024 }, () => frame));
    for (let count = 0; count < 256; count++) deliver(many);
    deliver(writeFrame(toHost.hello, 0, asciiBytes(asciiJson({ version: protocolVersion }))));
    if (isKept) await client.ready;
    else await assert.rejects(client.ready, { code: 'SANDBOX_AGENT' });
  }
});

test('commands that nobody could have left running are refused', async () => {
  for (const commands of [
    [7, 0, 0, 0, 6, 0, 0, 0],
    [0, 0, 0, 0, 6, 0, 0, 0],
    [1, 0, 0, 0],
  ]) {
    const { client, say } = guest();
    client.configure(configuration);
    const command = client.spawn(request);
    say(toHost.configured, 0, Uint8Array.from(commands));
    await assert.rejects(command.exit, { code: 'SANDBOX_AGENT' });
  }
});

test('JSON crosses as ASCII, whatever characters it holds', () => {
  const property = fc.property(fc.string({ unit: 'binary' }), (text) => {
    const bytes = asciiBytes(asciiJson({ text }));
    assert.ok(bytes.every((byte) => byte < 128));
    assert.deepEqual(JSON.parse(asciiText(bytes)), { text });
  });
  fc.assert(property, { seed: 62, numRuns: 300 });
});

test('input goes no further than the guest granted', async () => {
  const { client, sent, say } = guest();
  const command = client.spawn(request);
  const size = () =>
    sent
      .filter(({ type }) => type === toGuest.stdin)
      .reduce((sum, { payload }) => sum + payload.length, 0);
  const writing = command.write(new Uint8Array(streamWindow + 1000));
  await new Promise(setImmediate);
  assert.equal(size(), streamWindow);
  const grant = new Uint8Array(5);
  new DataView(grant.buffer).setUint32(1, 600, true);
  say(toHost.credit, command.id, grant);
  await new Promise(setImmediate);
  assert.equal(size(), streamWindow + 600);
  say(toHost.credit, command.id, grant);
  assert.equal(await writing, true);
});

test('a command that closed its input lets the writer know', async () => {
  const { client, say } = guest();
  const command = client.spawn(request);
  say(toHost.streamEnd, command.id, Uint8Array.of(0));
  assert.equal(await command.write(new Uint8Array(10)), false);
});

test('refusals become coded errors', async () => {
  const { client, sayJson } = guest();
  const command = client.spawn(request);
  sayJson(toHost.refused, command.id, { reason: 'not-found', code: 127, message: 'x: not there' });
  await assert.rejects(command.started, { code: 'SANDBOX_NOT_FOUND', details: { exitCode: 127 } });
});

test('reports that have something else where texts belong become coded errors', async () => {
  const odd = { toString: 1, valueOf: 1 };
  for (const reason of ['constructor', odd, 1]) {
    const { client, sayJson } = guest();
    const command = client.spawn(request);
    sayJson(toHost.refused, command.id, { reason, code: 127, message: odd });
    await assert.rejects(command.started, { code: 'SANDBOX_AGENT' });
  }
  const unready = guest();
  unready.sayJson(toHost.hello, 0, { version: odd });
  await assert.rejects(unready.client.ready, { code: 'SANDBOX_AGENT' });
  const { client, sayJson } = guest();
  const configured = client.configure(configuration);
  sayJson(toHost.notConfigured, 0, { error: odd });
  await assert.rejects(configured, { code: 'SANDBOX_BOOT' });
});

test('an agent of another version is refused', async () => {
  const { client, sayJson } = guest();
  sayJson(toHost.hello, 0, { version: 99 });
  await assert.rejects(client.ready, { code: 'SANDBOX_AGENT' });
});

test('when the guest is gone, commands that run fail and those that ended keep their end', async () => {
  const { client, sayWord } = guest();
  const running = client.spawn(request);
  const ended = client.spawn(request);
  sayWord(toHost.started, ended.id, 2);
  sayWord(toHost.exit, ended.id, exitWord({ code: 5 }));
  client.fail(new SandboxError('SANDBOX_CLOSED', 'gone'));
  assert.deepEqual(await ended.exit, { code: 5 });
  assert.equal((await ended.stdout.next()).done, true);
  await assert.rejects(running.exit, { code: 'SANDBOX_CLOSED' });
  await assert.rejects(running.stdout.next(), { code: 'SANDBOX_CLOSED' });
  assert.throws(() => client.spawn(request), { code: 'SANDBOX_CLOSED' });
});

test('how a command ended crosses as a number', () => {
  const ends: ExitReport[] = [
    { code: 0 },
    { code: 255, outOfProcesses: true },
    { signal: 9, outOfMemory: true },
    { signal: 64 },
  ];
  for (const end of ends) assert.deepEqual(exitReport(exitWord(end)), end);
});

test('a guest that cannot be made a sandbox’s own says why', async () => {
  const { client, sayJson } = guest();
  const configured = client.configure(configuration);
  sayJson(toHost.hello, 0, { version: protocolVersion });
  sayJson(toHost.notConfigured, 0, { error: 'no' });
  await assert.rejects(configured, {
    code: 'SANDBOX_BOOT',
    message: 'Cannot prepare the guest: no',
  });
});
