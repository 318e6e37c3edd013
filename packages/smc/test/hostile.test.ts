import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AnoleError } from '@anole/bytes';
import {
  addSeals,
  connectUnix,
  hasNative,
  mapFile,
  memoryFile,
  Seal,
  sendDescriptors,
} from '@anole/host/native';
import net, { smcState } from '@anole/smc/net';
import { until } from '../../oci/src/testing/tools.ts';
import { FILE_BYTES, Head, QUEUE_OFFSET, Slot } from '../src/shm/layout.ts';
import { LinkMemory } from '../src/shm/memory.ts';
import { linkPair } from './link-pair.ts';
import { greeting, rendezvousOf } from './mortal-peer.ts';

const skip = hasNative() ? false : 'koffi is not installed for this platform';
let child: ChildProcess;
let port = 0;

before(async () => {
  if (skip) return;
  const register = join(import.meta.dirname, '../src/register.ts');
  const execArgv = ['-C', 'anole-source', '--import', register];
  child = fork(join(import.meta.dirname, 'peer.ts'), ['echo'], { execArgv });
  [{ port }] = (await once(child, 'message')) as [{ port: number }];
});
after(() => child?.disconnect());

/** A memory file, sealed or not. */
function memory(size: number, seals: number): number {
  const fd = memoryFile('hostile', size);
  addSeals(fd, seals);
  return fd;
}

test('memory that could be truncated, or has another size or format, is refused', { skip }, () => {
  const cases = [
    memory(FILE_BYTES, 0),
    memory(FILE_BYTES, Seal.grow),
    memory(4096, Seal.shrink | Seal.grow),
    memory(FILE_BYTES, Seal.shrink | Seal.grow),
  ];
  for (const fd of cases) {
    assert.throws(() => LinkMemory.of(fd), { code: 'SMC_BAD_PEER' });
    closeSync(fd);
  }
});

test('who has been given memory can neither truncate nor write it', { skip }, () => {
  using own = LinkMemory.create();
  using seen = LinkMemory.of(own.fd);
  for (const size of [0, 4096, FILE_BYTES - 4096, FILE_BYTES + 4096]) {
    assert.throws(() => ftruncateSync(own.fd, size), { code: 'EPERM' });
  }
  assert.throws(() => mapFile(own.fd, 4096, { writable: true }), { code: 'HOST_NOT_PERMITTED' });
  assert.throws(() => writeSync(own.fd, Buffer.alloc(8), 0, 8, 0), { code: 'EPERM' });
  own.words[Head.sleep] = 7;
  assert.equal(seen.words[Head.sleep], 7);
});

test('a producer that is beyond its ring ends the connection', { skip }, () => {
  using pair = linkPair();
  pair.near.writer.write(Buffer.from('sound'), 0);
  pair.near.publish();
  pair.far.refresh();
  assert.equal(pair.far.reader.unread, 5);
  pair.client.own.words[pair.at(Slot.producer)] = 1 << 20;
  pair.far.refresh();
  assert.equal(pair.far.failure, 'violation');
});

test('a producer that goes back, and one without a ring, end it', { skip }, () => {
  using back = linkPair();
  back.near.writer.write(Buffer.alloc(100), 0);
  back.near.publish();
  back.far.refresh();
  back.client.own.words[back.at(Slot.producer)] = 50;
  back.far.refresh();
  back.far.reader.take(50);
  back.client.own.words[back.at(Slot.producer)] = 10;
  back.far.refresh();
  assert.equal(back.far.failure, 'violation');
  using bare = linkPair();
  bare.client.own.words[bare.at(Slot.producer)] = 1;
  bare.far.refresh();
  assert.ok(bare.far.failure === 'violation' || bare.far.reader.unread === 0);
});

test('a ring outside the memory ends it', { skip }, () => {
  for (const word of [-1, 0x7fffffff, 31, 14, (0xffff << 5) | 14 | (0x7ff << 21)]) {
    using pair = linkPair();
    pair.client.own.words[pair.at(Slot.ring)] = word;
    pair.client.own.words[pair.at(Slot.producer)] = 8;
    pair.far.refresh();
    assert.equal(pair.far.failure, 'violation', `ring ${word}`);
  }
});

test('a consumer that has read more than there was ends it', { skip }, () => {
  using pair = linkPair();
  pair.far.writer.write(Buffer.alloc(10), 0);
  pair.far.publish();
  pair.client.own.words[pair.at(Slot.consumer)] = 11;
  pair.far.refresh();
  assert.equal(pair.far.failure, 'violation');
});

test('a queue with slots that are none ends the link, and all of its connections', { skip }, () => {
  for (const spoil of [
    (words: Int32Array) => {
      words[QUEUE_OFFSET / 4 + 1] = 1 << 30;
      words[Head.tail] = 2;
    },
    (words: Int32Array) => {
      words[Head.tail] = 1 << 28;
    },
  ]) {
    using pair = linkPair();
    spoil(pair.client.own.words);
    pair.server.poll();
    assert.ok(!pair.server.isOpen);
    assert.ok(pair.far.peerClosed);
  }
});

test('random words in the peer’s slot never crash, hang or give bytes from elsewhere', {
  skip,
}, () => {
  let seed = 12345;
  const random = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) | 0;
    return seed;
  };
  for (let round = 0; round < 300; round++) {
    using pair = linkPair();
    pair.near.writer.write(Buffer.alloc(1000, 0x5a), 0);
    pair.near.publish();
    for (let step = 0; step < 20; step++) {
      const name = [
        Slot.producer,
        Slot.consumer,
        Slot.ring,
        Slot.start,
        Slot.oldRing,
        Slot.oldStart,
      ][(random() >>> 8) % 6]!;
      pair.client.own.words[pair.at(name)] = (random() >>> 4) & 1 ? random() : random() >>> 20;
      pair.far.refresh();
      if (pair.far.failure !== undefined) break;
      const { reader } = pair.far;
      while (reader.unread > 0) reader.take(Math.min(reader.unread, 65536));
    }
  }
});

test('whoever breaks off at any step of the handshake harms nobody', { skip }, async () => {
  const name = rendezvousOf(port);
  const hello = greeting();
  const steps: ((fd: number) => void)[] = [
    () => {},
    (fd) => sendDescriptors(fd, Buffer.from('rubbish'), []),
    (fd) => sendDescriptors(fd, hello, []),
    (fd) => sendDescriptors(fd, hello, [fd]),
    (fd) => {
      const short = memory(4096, Seal.shrink | Seal.grow);
      sendDescriptors(fd, hello, [short, short]);
      try {
        sendDescriptors(fd, hello, [short]);
      } catch (error) {
        // Who was refused already has been hung up on.
        if (!AnoleError.is(error) || error.details['system'] !== 'EPIPE') throw error;
      }
      closeSync(short);
    },
    (fd) => {
      const own = LinkMemory.create();
      sendDescriptors(fd, hello, [own.fd]);
      own[Symbol.dispose]();
    },
  ];
  const open = () => readdirSync(`/proc/${child.pid}/fd`).length;
  const before = open();
  for (const step of steps) {
    const fd = connectUnix(name);
    assert.ok(fd !== undefined);
    step(fd);
    await sleep(20);
    closeSync(fd);
  }
  const socket = net.connect(port, '127.0.0.1');
  socket.end('still there');
  assert.equal(String((await socket.toArray()).join('')), 'still there');
  assert.equal(smcState(socket)?.transport, 'smc-d');
  // A caller that says nothing is let go after a second.
  await until('what was open before is, and a connection', () => open() <= before + 3);
});

test('a peer of another user gets TCP', { skip: skip || notRoot() }, async () => {
  const script = `
    const net = require('node:net');
    process.setgid(65534); process.setuid(65534);
    import('@anole/smc/net').then((smc) => {
      const socket = smc.connect(${port}, '127.0.0.1');
      socket.end('nobody');
      socket.on('data', (bytes) => console.log(String(bytes), smc.smcState(socket).transport));
    });`;
  const argv = ['-C', 'anole-source', '-e', script];
  const { stdout, stderr } = spawnSync(process.execPath, argv, {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  });
  assert.equal(stdout.trim(), 'nobody tcp', stderr);
});

function notRoot(): string | false {
  return process.getuid!() === 0 ? false : 'only root can become another user';
}
