import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect as connectPlainly } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hasNative } from '@anole/host/native';
import net, { type Socket, smcState, writeUrgent } from '@anole/smc/net';
import { MAX_RING, Slot } from '../src/shm/layout.ts';
import { linkPair } from './link-pair.ts';

process.env['ANOLE_SMC_POLICY'] = join(import.meta.dirname, 'always.json');
const skip = hasNative() ? false : 'koffi is not installed for this platform';

/** A client's socket, and the server's, which is paused. */
async function ends(t: TestContext, connect = net.connect): Promise<[Socket, Socket]> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = connect(port, '127.0.0.1') as Socket;
  await once(near, 'connect');
  const [far] = await accepted;
  t.after(() => [near, far].forEach((each) => void each.destroy()));
  return [near, far];
}

test('an urgent byte is told of while what comes before it lies unread, and stays in its place', {
  skip,
}, async (t) => {
  const [near, far] = await ends(t);
  const before = Buffer.alloc(1_000_000, 'not yet read ');
  near.write(before);
  writeUrgent(near, Buffer.from('stop!'));
  near.end(' and more');
  const [byte] = await once(far, 'urgent');
  assert.equal(String.fromCharCode(byte), '!');
  assert.ok(far.bytesRead < before.length);
  const bytes = Buffer.concat(await far.toArray());
  assert.ok(bytes.equals(Buffer.concat([before, Buffer.from('stop! and more')])));
  assert.equal(smcState(near)?.transport, 'smc-d');
});

test('of writes that are joined the urgent one is still known, also beside strings', {
  skip,
}, async (t) => {
  const [near, far] = await ends(t);
  const told: number[] = [];
  far.on('urgent', (byte) => told.push(byte));
  for (const more of [Buffer.from('+'), '+']) {
    const urgent = once(far, 'urgent');
    near.cork();
    near.write(more);
    writeUrgent(near, Buffer.of(1, 2));
    writeUrgent(near, Buffer.of(3, 4));
    near.write(more);
    near.uncork();
    await urgent;
  }
  writeUrgent(near, Buffer.alloc(0));
  near.end();
  const bytes = Buffer.concat(await far.toArray());
  assert.equal(bytes.toString('latin1'), '+\x01\x02\x03\x04+'.repeat(2));
  assert.deepEqual(told, [4, 4]);
  assert.equal(near.bytesWritten, bytes.length);
});

test('an urgent byte that waits for room is told of when it has come', { skip }, async (t) => {
  const [near, far] = await ends(t);
  const before = 3 * MAX_RING;
  const told: number[] = [];
  far.on('urgent', () => told.push(count));
  let count = 0;
  near.write(Buffer.alloc(before));
  writeUrgent(near, Buffer.of(9));
  near.end();
  for await (const each of far) count += each.length;
  assert.equal(count, before + 1);
  assert.equal(told.length, 1);
  assert.ok(told[0]! > 0, 'not before it can have been there');
});

test('of what is written after the peer has closed one write is lost, also with an urgent part', {
  skip,
}, async (t) => {
  const [near, far] = await ends(t, (port) => net.connect({ port: +port, allowHalfOpen: true }));
  far.destroy();
  await once(near.resume(), 'end');
  const write = async () => {
    near.cork();
    near.write('+');
    writeUrgent(near, Buffer.of(1));
    const last = new Promise((resolve) => void near.write('+', resolve));
    near.uncork();
    return await last;
  };
  near.on('error', () => {});
  assert.ok(!(await write()), 'lost');
  assert.equal(near.bytesWritten, 3);
  assert.equal(((await write()) as NodeJS.ErrnoException).code, 'EPIPE');
});

test('over TCP the bytes arrive like others', { skip }, async (t) => {
  const [near, far] = await ends(t, connectPlainly as typeof net.connect);
  let told = 0;
  far.on('urgent', () => told++);
  writeUrgent(near, Buffer.from('not told'));
  near.end();
  assert.equal(String(Buffer.concat(await far.toArray())), 'not told');
  assert.equal(told, 0);
});

test('an urgent byte is read beyond the ring before, and never where no byte is', { skip }, () => {
  using pair = linkPair();
  const { near, far } = pair;
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251));
  const write = (from: number, to: number) => {
    assert.equal(near.writer.write(bytes.subarray(from, to), 0), to - from);
    near.writer.markUrgent();
    near.publish();
    far.refresh();
    return far.reader.takeUrgent();
  };
  assert.equal(write(0, 10_000), bytes[9_999]);
  assert.equal(write(10_000, 60_000), bytes[59_999]);
  far.refresh();
  assert.equal(far.reader.takeUrgent(), undefined);
  far.reader.take(60_000);
  const { words } = pair.client.own;
  for (const mark of [0, 1, 59_999, 60_000, 60_002, 1 << 30, -1]) {
    words[pair.at(Slot.urgent)] = mark;
    words[pair.at(Slot.producer)] = 60_001;
    far.refresh();
    assert.equal(far.reader.takeUrgent(), undefined, `place ${mark}`);
  }
  assert.equal(far.failure, undefined);
});
