import { hasNative } from '@anole/host/native';
import { Head, MAX_RING, QUEUE_OFFSET, Slot } from '../../packages/smc/src/shm/layout.ts';
import { linkPair } from '../../packages/smc/test/link-pair.ts';
import type { Target } from './targets.ts';

/** Bytes of one step: where, which word of it, what (little-endian), and a byte that mutants may grow into. */
const STEP = 8;
/** Steps of an input that count. */
const STEPS = 200;
const slotNames = Object.keys(Slot) as (keyof typeof Slot)[];

const places = { slot: 0, head: 1, queue: 2, write: 3, publish: 4, ring: 5 } as const;

function step(place: keyof typeof places, word: number, value: number): Buffer {
  const bytes = Buffer.alloc(STEP);
  bytes.writeUInt8(places[place], 0);
  bytes.writeUInt8(word, 1);
  bytes.writeUInt32LE(value >>> 0, 2);
  return bytes;
}

/** A client that writes some, lets its ring grow, and ends. */
function conversation(): Uint8Array {
  return Buffer.concat([
    step('write', 0, 100),
    step('publish', 0, 0),
    step('write', 0, 20_000),
    step('publish', 0, 0),
    step('slot', slotNames.indexOf('producer'), 30_000),
    step('slot', slotNames.indexOf('consumer'), 4),
    step('queue', 1, 0),
    step('head', Head.tail, 3),
    step('write', 0, 70_000),
    step('publish', 0, 0),
    step('ring', 0, 0x01010101),
    step('slot', slotNames.indexOf('flags'), 0x8000),
    step('slot', slotNames.indexOf('state'), 0x16),
  ]);
}

/**
 * A server's end of a link, whose client writes into its own memory what it likes: cursors, rings,
 * flags, news. Each step is one word, or a proper write in between.
 */
export const sharedMemory: Target = {
  name: 'shared-memory',
  missing: hasNative() ? undefined : 'koffi is not installed for this platform',
  seeds: new Map([['conversation', new Uint8Array(conversation())]]),
  async run(bytes) {
    const kinds = new Set<string>();
    using pair = linkPair();
    const { client, server, near, far } = pair;
    let taken = 0;
    far.owner = {
      onNews() {
        kinds.add(`news ${far.failure} ${far.peerDone} ${far.peerClosed}`);
      },
    };
    server.onClaim = (slot) => kinds.add(`claim ${slot === near.slot}`);
    const steps = Math.min(Math.floor(bytes.length / STEP), STEPS);
    for (let at = 0; at < steps * STEP; at += STEP) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, STEP);
      const [place, word, value] = [view.getUint8(0) % 6, view.getUint8(1), view.getInt32(2, true)];
      const { words } = client.own;
      if (place === places.slot) words[pair.at(word % 32)] = value;
      else if (place === places.head) words[word % 64] = value;
      else if (place === places.queue) words[QUEUE_OFFSET / 4 + word] = value;
      else if (place === places.ring) {
        if (client.isOpen) client.own.segment(0).fill(value, 0, 4096);
      } else if (place === places.write) near.writer.write(Buffer.alloc(value & 0x3ffff), 0);
      else if (client.isOpen) near.publish();
      server.poll();
      far.refresh();
      if (far.reader.unread > 2 * MAX_RING) throw new Error('more bytes than rings have');
      while (far.reader.unread > 0)
        taken += far.reader.take(Math.min(far.reader.unread, 65536)).length;
      if (server.isOpen && far.failure === undefined) {
        far.publishTaken();
        if (far.writer.pending < 65536 && far.writer.write(Buffer.alloc(10), 0) > 0) far.publish();
      }
      kinds.add(`${server.isOpen} ${far.failure} ${far.peerDone} ${far.peerClosed}`);
    }
    kinds.add(`taken ${Math.min(Math.floor(Math.log2(taken + 1)), 24)}`);
    return kinds;
  },
};
