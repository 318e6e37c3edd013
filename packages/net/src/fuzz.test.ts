import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checksum } from './checksum.ts';
import { readAddresses, readQuestion, writeQuery } from './dns/message.ts';
import { NetError } from './errors.ts';
import { guestNetwork } from './network.ts';
import { TestGuest } from './testing/guest.ts';

const { dns, gateway } = guestNetwork;
const remote = 0x09090909;

/** Frames that mean something, so that changes of them reach all parts. */
function seeds(): Uint8Array[] {
  const guest = new TestGuest();
  const frames: Uint8Array[] = [];
  guest.give = (frame) => frames.push(Uint8Array.from(frame as Uint8Array));
  const to = { from: 4000, to: 80, address: remote };
  guest.tcp({ ...to, sequence: 1, flags: 2, options: [2, 4, 5, 180, 1, 3, 3, 7] });
  guest.tcp({ ...to, sequence: 2, acknowledgment: 1, flags: 16, data: new Uint8Array(100) });
  guest.tcp({ ...to, sequence: 102, acknowledgment: 1, flags: 17 });
  guest.tcp({ ...to, to: 53, address: dns, sequence: 1, flags: 2 });
  guest.udp(5000, dns, 53, writeQuery(1, 'a.example.org', 1));
  guest.udp(5000, remote, 123, new Uint8Array(48));
  guest.udp(
    68,
    0xffffffff,
    67,
    Uint8Array.from({ length: 300 }, (_, i) => (i < 3 ? 1 : 0)),
  );
  frames.push(guest.packet(1, gateway, Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0)));
  frames.push(guest.packet(17, remote, new Uint8Array(1480), 0x2000, 1));
  return frames;
}

interface Change {
  readonly seed: number;
  readonly bytes: readonly (readonly [number, number])[];
  readonly length: number;
  readonly repair: boolean;
}

/** A frame with some bytes changed, cut somewhere; with `repair`, its header's checksum is right again. */
function changed(frames: readonly Uint8Array[], { seed, bytes, length, repair }: Change) {
  const frame = frames[seed % frames.length]!.slice();
  for (const [at, value] of bytes) frame[at % frame.length] = value;
  if (repair) {
    frame.set([0, 0], 24);
    const sum = checksum(frame, 14, Math.min(frame.length, 14 + (frame[14]! & 15) * 4));
    frame.set([sum >> 8, sum & 255], 24);
  }
  return length % 4 === 0 ? frame.subarray(0, length % frame.length) : frame;
}

describe('whatever a guest sends', () => {
  it('raises nothing, and holds no more than is allowed', () => {
    const frames = seeds();
    const change = fc.record({
      seed: fc.nat(20),
      bytes: fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 6 }),
      length: fc.nat(2000),
      repair: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), fc.nat(20), (changes, room) => {
        const guest = new TestGuest({ public: true });
        for (const [index, each] of changes.entries()) {
          const offload = index % 3 === 0 ? { checksum: { start: 34, offset: 16 } } : {};
          guest.give(changed(frames, each), offload);
          if (index === room) guest.room = 0;
          for (const { events } of guest.outside.streams) {
            if (index % 5 === 0) events.connected();
            if (index % 7 === 0) events.data(new Uint8Array(3000));
          }
        }
        guest.room = 1000;
        guest.stack.room();
        const { tcp, udp } = guest.stack.usage;
        assert.ok(tcp <= 512 && udp <= 128);
        guest.stack.close();
        assert.equal(guest.stack.usage.tcp, 0);
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  it('as DNS is read or refused', () => {
    const query = writeQuery(7, 'www.example.org', 1);
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.array(fc.tuple(fc.nat(query.length - 1), fc.nat(255))).map((changes) => {
        const bytes = new Uint8Array([
          ...query,
          0xc0,
          12,
          0,
          1,
          0,
          1,
          0,
          0,
          0,
          9,
          0,
          4,
          1,
          2,
          3,
          4,
        ]);
        bytes[7] = 1;
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(message, (bytes) => {
        try {
          readQuestion(bytes);
          readAddresses(bytes);
        } catch (error) {
          assert.ok(error instanceof NetError, String(error));
        }
      }),
      { seed: 4, numRuns: 2000 },
    );
  });

  it('as a name that points at itself ends', () => {
    const loop = new Uint8Array([...writeQuery(7, '', 1).subarray(0, 12), 0xc0, 12, 0, 1, 0, 1]);
    assert.throws(() => readQuestion(loop), { code: 'NET_BAD_DNS' });
  });
});
