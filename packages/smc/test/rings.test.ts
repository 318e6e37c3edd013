import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { hasNative } from '@anole/host/native';
import { Slot, slotWord } from '../src/shm/layout.ts';
import { LinkMemory } from '../src/shm/memory.ts';
import { RingReader } from '../src/shm/ring-reader.ts';
import { RingSpace } from '../src/shm/ring-space.ts';
import { RingWriter } from '../src/shm/ring-writer.ts';
import { linkPair } from './link-pair.ts';

const skip = hasNative() ? false : 'koffi is not installed for this platform';

test('a reader that looks while its first ring is being exchanged waits for the next', {
  skip,
}, () => {
  using memory = LinkMemory.create();
  using seen = LinkMemory.of(memory.fd);
  const writer = new RingWriter(memory, new RingSpace(), 0);
  const reader = new RingReader(seen, 0);
  writer.write(Buffer.of(1), 0);
  writer.publish();
  // So it is for some instructions, while a larger ring takes its place.
  const word = slotWord(0) + Slot.ring;
  const ring = memory.words[word]!;
  memory.words[word] = 0;
  assert.ok(reader.look(), 'it is no violation');
  assert.equal(reader.unread, 0);
  memory.words[word] = ring;
  writer.write(Buffer.alloc(20_000, 2), 0);
  writer.publish();
  assert.ok(reader.look());
  assert.equal(reader.unread, 20_001);
  assert.equal(reader.take(2)[1], 2);
});

test('what has not been read stays as it is when the cursors of a connection have gone around', {
  skip,
}, () => {
  using memory = LinkMemory.create();
  using seen = LinkMemory.of(memory.fd);
  const writer = new RingWriter(memory, new RingSpace(), 0);
  const reader = new RingReader(seen, 0);
  writer.write(Buffer.alloc(10), 0);
  writer.publish();
  assert.ok(reader.look());
  reader.take(10);
  // As if 4 GiB had passed: 100 bytes more, and the cursors are where the ring began.
  const near = 2 ** 32 - 100;
  Object.assign(writer, { producer: near, taken: near });
  Object.assign(reader, { consumer: near, producer: near });
  const bytes = Buffer.from(Array.from({ length: 40_000 }, (_, at) => at * 7));
  for (let done = 0; done < bytes.length; ) {
    done += writer.write(bytes.subarray(done, done + 50), 0);
  }
  writer.publish();
  assert.ok(reader.look());
  assert.ok(reader.take(bytes.length).equals(bytes));
});

/** Writes that this thread has asked the kernel for: a doorbell is one. */
function writes(): number {
  return Number(/^syscw: (\d+)/m.exec(readFileSync('/proc/thread-self/io', 'latin1'))![1]);
}

test('while both ends are awake messages take no system call, and where one sleeps they do', {
  skip,
}, () => {
  using pair = linkPair();
  const { client, server, near, far } = pair;
  const message = Buffer.alloc(64, 1);
  const roundTrips = (count: number) => {
    const before = writes();
    for (let at = 0; at < count; at++) {
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.writer.write(message, 0);
        from.publish();
        to.link.poll();
        assert.ok(to.reader.take(message.length).equals(message));
        to.publishTaken();
      }
    }
    return writes() - before;
  };
  for (const [link, connection] of [
    [client, near],
    [server, far],
  ] as const) {
    link.later(connection);
  }
  assert.equal(roundTrips(1000), 0);
  using asleep = linkPair();
  const before = writes();
  asleep.near.publish();
  assert.equal(writes() - before, 1);
});
