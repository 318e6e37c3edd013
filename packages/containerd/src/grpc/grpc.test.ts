import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ContainerdError } from '../errors.ts';
import { int, message, string } from '../protobuf/message.ts';
import { GrpcClient } from './client.ts';
import { frameOf, messagesOf } from './frames.ts';
import { grpcServer, type Method } from './server.ts';
import { percentDecoded, percentEncoded } from './status.ts';

const Text = message({ text: string(1) });
const Count = message({ count: int(1) });
const echo = { path: '/test.Test/Echo', request: Text, answer: Text };
const countTo = { path: '/test.Test/Count', request: Count, answer: Count };
const missing = { path: '/test.Test/Missing', request: Text, answer: Text };

async function serve(test: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'anole-grpc-'));
  const socket = join(directory, 'sock');
  const faults: unknown[] = [];
  const methods = {
    [echo.path]: {
      ...echo,
      async serve({ text }: { text: string }) {
        if (text === 'absent') {
          throw new ContainerdError('CONTAINERD_NOT_FOUND', 'Cannot find „absent“: 100% gone\n');
        }
        if (text === 'fault') throw new TypeError('a fault of the program');
        return { text };
      },
    },
    [countTo.path]: {
      ...countTo,
      async *serve({ count }: { count: number }) {
        for (let at = 0; at < count; at++) yield { count: at };
      },
    },
  } as unknown as Readonly<Record<string, Method<never, never>>>;
  const server = grpcServer(methods, { onFault: (_path, error) => faults.push(error) });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  const client = new GrpcClient(socket);
  test.after(() => {
    client[Symbol.dispose]();
    server.close();
    rmSync(directory, { recursive: true });
  });
  return { socket, client, faults };
}

describe('gRPC', () => {
  it('carries answers, streams and long messages', async (test) => {
    const { client } = await serve(test);
    assert.deepEqual(await client.call(echo, { text: 'hello' }), { text: 'hello' });
    const text = 'x'.repeat(3_000_000);
    assert.equal((await client.call(echo, { text })).text, text);
    const counts: number[] = [];
    for await (const { count } of client.stream(countTo, [{ count: 2000 }])) counts.push(count);
    assert.deepEqual(counts, [...Array(2000).keys()]);
  });

  it('tells errors by status and message, and faults also to the log', async (test) => {
    const { client, faults } = await serve(test);
    await assert.rejects(client.call(echo, { text: 'absent' }), {
      code: 'CONTAINERD_NOT_FOUND',
      message: 'Cannot do Test/Echo: Cannot find „absent“: 100% gone\n',
    });
    await assert.rejects(client.call(missing, {}), { details: { status: 12, path: missing.path } });
    assert.equal(faults.length, 0);
    await assert.rejects(client.call(echo, { text: 'fault' }), { code: 'CONTAINERD_CALL' });
    assert.equal(faults.length, 1);
  });

  it('bounds what it takes, and goes on after what is no gRPC', async (test) => {
    const { client, socket } = await serve(test);
    const raw = connect(socket);
    raw.on('error', () => {});
    raw.write('GET / HTTP/1.1\r\n\r\n');
    const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
    const statusOf = (frame: Uint8Array) =>
      new Promise((resolve) => {
        const head = { ':method': 'POST', ':path': echo.path, 'content-type': 'application/grpc' };
        const stream = session.request(head);
        stream.on('trailers', (trailers) => resolve(trailers['grpc-status']));
        stream.end(frame);
        stream.resume();
      });
    assert.equal(await statusOf(Uint8Array.of(0, 255, 255, 255, 255, 1)), '8');
    assert.equal(await statusOf(Uint8Array.of(1, 0, 0, 0, 1, 1)), '13');
    assert.equal(await statusOf(Uint8Array.of(0, 0, 0, 0, 9, 1)), '13');
    assert.equal(await statusOf(new Uint8Array(0)), '13');
    session.close();
    raw.destroy();
    assert.deepEqual(await client.call(echo, { text: 'still here' }), { text: 'still here' });
  });

  it('raises what giving requests raises, not that the connection broke', async (test) => {
    const { client } = await serve(test);
    async function* requests() {
      yield { text: 'one' };
      throw new Error('the registry is away');
    }
    await assert.rejects(async () => {
      for await (const _ of client.stream(echo, requests()));
    }, /the registry is away/);
  });

  it('says where nobody answers', async () => {
    using client = new GrpcClient('/nowhere/at/all.sock');
    await assert.rejects(client.call(echo, {}), { code: 'CONTAINERD_UNAVAILABLE' });
  });

  it('finds messages however they are cut', async () => {
    const all = [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(300).fill(7)];
    const bytes = Buffer.concat(all.map(frameOf));
    for (const size of [1, 2, 5, 8, 100, 1000]) {
      const met: Uint8Array[] = [];
      for await (const each of messagesOf(cut(bytes, size))) met.push(Uint8Array.from(each));
      assert.deepEqual(met, all);
    }
  });

  it('writes messages of errors so that any can be read back', () => {
    for (const text of ['plain', '100 %', 'ä\n', '%41']) {
      assert.equal(percentDecoded(percentEncoded(text)), text);
      assert.match(percentEncoded(text), /^[ -~]*$/);
    }
    assert.equal(percentDecoded('%zz'), '%zz');
  });
});

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
