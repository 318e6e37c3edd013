import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasNative } from '@anole/host/native';
import net, { type Socket, smcState } from '@anole/smc/net';
import { pattern } from './peer.ts';

/** Seconds; the long form is ANOLE_SOAK=600, which is some ten million messages. */
const seconds = Number(process.env['ANOLE_SOAK'] ?? 6);
/** Parts of messages that are small, and that are followed by a pause; messages of a connection. */
const { small, paused, most } =
  seconds > 60
    ? { small: 0.997, paused: 0.001, most: 20_000 }
    : { small: 0.7, paused: 0.05, most: 400 };
// Short connections are what most tests make.
process.env['ANOLE_SMC_POLICY'] = join(import.meta.dirname, 'always.json');
const skip = hasNative() ? false : 'koffi is not installed for this platform';
const register = join(import.meta.dirname, '../src/register.ts');

async function startPeer() {
  const execArgv = ['-C', 'anole-source', '--import', register];
  const child = fork(join(import.meta.dirname, 'peer.ts'), ['echo'], { execArgv });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}

const counts = { messages: 0, bytes: 0, connections: 0, killed: 0, late: 0 };
const chance = (part: number) => Math.random() < part;

/** Small ones mostly, sometimes more than the largest ring. */
function randomSize(): number {
  if (chance(small)) return 1 + Math.floor(Math.random() * 200);
  return chance(0.9) ? Math.floor(Math.random() * 70_000) : Math.floor(Math.random() * 6_000_000);
}

/**
 * One connection: what it writes comes back, every byte in its place, for as long as it lasts.
 *
 * @param isOver whether it should end
 * @param mayBreak whether it may have been reset
 */
async function oneConnection(
  port: number,
  isOver: () => boolean,
  mayBreak: () => boolean,
): Promise<void> {
  const socket: Socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: chance(0.5) });
  let sent = 0;
  let received = 0;
  let wrong = -1;
  let broken: Error | undefined;
  socket.on('error', (error) => {
    broken = error;
  });
  socket.on('data', (bytes: Buffer) => {
    if (wrong < 0 && !pattern(received, bytes.length).equals(bytes)) wrong = received;
    received += bytes.length;
    if (chance(paused / 5)) {
      socket.pause();
      setTimeout(() => socket.resume(), Math.random() * 20);
    }
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const messages = 1 + Math.floor(Math.random() * most);
  for (let count = 0; count < messages && !isOver() && !socket.destroyed; count++) {
    const size = randomSize();
    const goesOn = socket.write(pattern(sent, size));
    sent += size;
    counts.messages++;
    if (!goesOn) await Promise.race([once(socket, 'drain').catch(() => {}), closed]);
    if (chance(paused)) await sleep(Math.random() * 5);
  }
  const leaves = chance(0.1);
  if (leaves) socket.destroy();
  else socket.end();
  await closed;
  counts.connections++;
  counts.bytes += received;
  assert.equal(wrong, -1, `byte ${wrong} of ${sent} is another`);
  if (leaves || mayBreak()) return;
  assert.equal(broken, undefined);
  assert.equal(received, sent, 'all came back');
  const { transport, reason } = smcState(socket)!;
  // On a busy machine the peer may be too late.
  if (reason?.name === 'late' || reason?.name === 'declined') counts.late++;
  else assert.equal(transport, 'smc-d', reason?.name);
}

/** Until there is a link to the peer: on a busy machine it may be too late for the first connections. */
async function linkTo(port: number): Promise<void> {
  let transport: string | undefined;
  while (transport !== 'smc-d') {
    const socket = net.connect({ port, host: '127.0.0.1' }).resume();
    await once(socket, 'connect');
    socket.end();
    await once(socket, 'close');
    transport = smcState(socket)?.transport;
  }
}

test('every byte arrives in order, whatever sizes, pauses, ends and kills there are', {
  skip,
}, async (t) => {
  const steady = await startPeer();
  await linkTo(steady.port);
  const until = Date.now() + seconds * 1000;
  let isDone = false;
  const isOver = () => isDone || Date.now() >= until;
  const workers = Array.from({ length: 8 }, async () => {
    while (!isOver()) await oneConnection(steady.port, isOver, () => false);
  });
  const mortal = (async () => {
    do {
      const peer = await startPeer();
      let isKilled = false;
      const end = Date.now() + 5000;
      const ends = () => isOver() || Date.now() >= end;
      const some = Array.from({ length: 3 }, () => oneConnection(peer.port, ends, () => isKilled));
      await sleep(300 + Math.random() * 500);
      isKilled = true;
      peer.child.kill('SIGKILL');
      counts.killed++;
      await Promise.all(some);
    } while (!isOver());
  })();
  try {
    await Promise.all([...workers, mortal]);
  } finally {
    isDone = true;
    steady.child.disconnect();
  }
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.messages > 100 && counts.killed > 0);
  assert.ok(counts.late * 20 < counts.connections, 'hardly any goes over TCP');
});
