import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { parseIpv4 } from '../address.ts';
import { checksum, pseudoHeader } from '../checksum.ts';
import { ACK, FIN, PSH, RST, SYN } from '../layout/tcp.ts';
import { guestNetwork } from '../network.ts';
import { TestGuest, type TestGuestOptions } from '../testing/guest.ts';
import { FakeStream } from '../testing/outside.ts';
import type { Segment } from './segment.ts';

const remote = parseIpv4('9.9.9.9')!;
const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (segments: readonly Segment[]) =>
  Buffer.concat(segments.map(({ data }) => data)).toString();

/** A guest with one connection of its own to 9.9.9.9:80. */
class Client {
  readonly guest: TestGuest;
  /** Numbers of the guest's next byte, and of the next that it expects. */
  sequence = 1001;
  expected = 0;
  window = 64240;

  constructor(options?: TestGuestOptions) {
    this.guest = new TestGuest(options);
    const mssAndScale = [2, 4, 1460 >> 8, 1460 & 255, 1, 3, 3, 0];
    this.#send(SYN, 1000, { options: mssAndScale });
  }

  get stream() {
    return this.guest.outside.streams[0]!;
  }

  /** Lets the connection come about. */
  open(): this {
    this.stream.events.connected();
    const [synAck] = this.guest.segments();
    assert.equal(synAck!.flags, SYN | ACK);
    assert.equal(synAck!.acknowledgment, 1001);
    assert.deepEqual(synAck!.options, { mss: 1460, windowScale: 7 });
    this.expected = (synAck!.sequence + 1) >>> 0;
    this.send(ACK);
    return this;
  }

  send(flags: number, data = new Uint8Array(0), sequence = this.sequence): void {
    this.#send(flags, sequence, { data });
    this.sequence = (sequence + data.length + (flags & FIN ? 1 : 0)) >>> 0;
  }

  /** What came, acknowledged or not. */
  receive(acknowledge = true): Segment[] {
    const segments = this.guest.segments();
    const last = segments.at(-1);
    if (last === undefined) return segments;
    const end = last.sequence + last.data.length + (last.flags & FIN ? 1 : 0);
    this.expected = end >>> 0;
    if (acknowledge && (last.data.length > 0 || last.flags & FIN)) this.send(ACK);
    return segments;
  }

  #send(flags: number, sequence: number, more: { data?: Uint8Array; options?: number[] }): void {
    const ends = { from: 4000, to: 80, address: remote };
    const acknowledgment = this.expected;
    this.guest.tcp({ ...ends, sequence, acknowledgment, flags, window: this.window, ...more });
  }
}

describe('a connection of the guest', () => {
  it('is answered only when the host’s is there', async () => {
    const client = new Client();
    assert.deepEqual(client.stream.to, { address: remote, port: 80 });
    assert.deepEqual(client.guest.segments(), []);
    client.open();
    client.send(ACK | PSH, bytes('hello'));
    assert.equal(client.stream.text, 'hello');
    await client.guest.turn();
    const [ack] = client.receive();
    assert.equal(ack!.acknowledgment, client.sequence);
  });

  it('is refused where the host’s is, and unreachable where that is', async () => {
    const refused = new Client();
    refused.stream.events.failed('refused');
    const [reset] = refused.guest.segments();
    assert.deepEqual([reset!.flags, reset!.acknowledgment], [RST | ACK, 1001]);
    const lost = new Client();
    lost.stream.events.failed('unreachable');
    await setImmediate();
    const [error] = lost.guest.packets();
    assert.deepEqual([...error!.body.subarray(0, 2)], [3, 1]);
    assert.equal(Buffer.from(error!.body).readUInt32BE(8 + 20 + 4), 1000, 'the SYN’s number');
    assert.equal(lost.guest.stack.usage.tcp, 0);
  });

  it('is prohibited where the policy is against it, and not even tried', async () => {
    const guest = new TestGuest({ allow: [] });
    guest.tcp({ from: 4000, to: 80, address: remote, sequence: 1, flags: SYN });
    await setImmediate();
    assert.deepEqual([...guest.packets()[0]!.body.subarray(0, 2)], [3, 13]);
    assert.deepEqual(guest.outside.streams, []);
  });

  it('to the gateway is one to the host’s loopback, where that is allowed', () => {
    const guest = new TestGuest({ allow: ['127.0.0.1:8080'] });
    const to = { from: 4000, address: guestNetwork.gateway, sequence: 1, flags: SYN };
    guest.tcp({ ...to, to: 8081 });
    guest.tcp({ ...to, to: 8080 });
    assert.deepEqual(
      guest.outside.streams.map((stream) => stream.to),
      [{ address: 0x7f000001, port: 8080 }],
    );
  });

  it('ends each way by itself', async () => {
    const client = new Client().open();
    client.send(FIN | ACK);
    assert.equal(client.stream.isEnded, true);
    client.receive();
    client.stream.events.data(bytes('late answer'));
    client.stream.events.ended();
    await setImmediate();
    const segments = client.receive();
    assert.equal(textOf(segments), 'late answer');
    assert.equal(segments.at(-1)!.flags & FIN, FIN);
    assert.equal(client.stream.closed, 'closed');
    client.send(FIN | ACK, undefined, client.sequence - 1);
    assert.equal(client.receive()[0]!.acknowledgment, client.sequence, 'FIN again');
  });

  it('ends the other way first', async () => {
    const client = new Client().open();
    client.stream.events.ended();
    await setImmediate();
    assert.equal(client.receive()[0]!.flags, FIN | ACK | PSH);
    client.send(ACK, bytes('more'));
    client.send(FIN | ACK);
    assert.equal(client.stream.text, 'more');
    assert.equal(client.stream.isEnded, true);
    assert.equal(client.stream.closed, 'closed');
  });

  it('is reset on both sides when either is', async () => {
    const byGuest = new Client().open();
    byGuest.send(RST);
    assert.equal(byGuest.stream.closed, 'aborted');
    const byHost = new Client().open();
    byHost.stream.events.reset();
    assert.equal(byHost.guest.segments()[0]!.flags & RST, RST);
    assert.equal(byHost.guest.stack.usage.tcp, 0);
  });

  it('survives a reset that is not in its window', () => {
    const client = new Client().open();
    client.send(RST, undefined, client.sequence - 100);
    assert.equal(client.stream.closed, 'no');
  });
});

describe('data to the guest', () => {
  it('goes in large segments where the guest parts them, with checksums left to it', async () => {
    const client = new Client().open();
    client.stream.events.data(new Uint8Array(60_000).fill(65));
    await setImmediate();
    const { frame, offload } = client.guest.frames[0]!;
    assert.equal(frame.length, 54 + 60_000);
    assert.deepEqual(offload.segments, { version: 4, size: 1460 });
    assert.deepEqual(offload.checksum, { start: 34, offset: 16 });
  });

  it('goes in packets with checksums to a guest without offloads', async () => {
    const client = new Client({ offloads: false }).open();
    client.stream.events.data(Uint8Array.from({ length: 4001 }, (_, i) => i));
    await setImmediate();
    assert.ok(client.guest.frames.every(({ offload }) => offload.checksum === undefined));
    const packets = client.guest.packets();
    assert.deepEqual(
      packets.map(({ body }) => body.length - 20),
      [1460, 1460, 1081],
    );
    for (const { source, destination, body } of packets) {
      const pseudo = pseudoHeader(source, destination, 6, body.length);
      assert.equal(checksum(body, 0, body.length, pseudo), 0);
    }
  });

  it('goes in packets that the network can carry, whatever the guest says it takes', async () => {
    for (const [offloads, mss, size] of [
      [true, 65535, 1460],
      [false, 65535, 1460],
      [false, 1, 88],
    ] as const) {
      const guest = new TestGuest({ offloads });
      const ends = { from: 4000, to: 80, address: remote };
      const options = [2, 4, mss >> 8, mss & 255];
      guest.tcp({ ...ends, sequence: 1, flags: SYN, options });
      const { events } = guest.outside.streams[0]!;
      events.connected();
      const acknowledgment = guest.segments()[0]!.sequence + 1;
      guest.tcp({ ...ends, sequence: 2, acknowledgment, flags: ACK });
      events.data(new Uint8Array(60_000));
      await guest.turn();
      const { frame, offload } = guest.frames[0]!;
      assert.equal(offload.segments?.size ?? frame.length - 54, size);
    }
  });

  it('keeps to the guest’s window, and holds the host up', async () => {
    const client = new Client();
    client.window = 10_000;
    client.open();
    for (let i = 0; i < 40; i++) client.stream.events.data(new Uint8Array(65536).fill(i));
    await setImmediate();
    assert.equal(
      client.receive(false).reduce((sum, { data }) => sum + data.length, 0),
      10_000,
    );
    assert.equal(client.stream.paused, true);
    client.window = 64_000;
    let total = 10_000;
    for (let rounds = 0; total < 40 * 65536 && rounds < 200; rounds++) {
      client.send(ACK);
      total += client.receive(false).reduce((sum, { data }) => sum + data.length, 0);
    }
    assert.equal(total, 40 * 65536);
    assert.equal(client.stream.paused, false);
  });

  it('comes again where the guest did not acknowledge it', async () => {
    const client = new Client().open();
    client.stream.events.data(bytes('lost'));
    await setImmediate();
    assert.equal(textOf(client.guest.segments()), 'lost');
    client.guest.now += 1000;
    await setTimeout(1100);
    assert.equal(textOf(client.guest.segments()), 'lost');
  });

  it('comes again after three acknowledgments of the same', async () => {
    const client = new Client().open();
    client.stream.events.data(bytes('lost'));
    await setImmediate();
    client.guest.segments();
    for (let i = 0; i < 3; i++) client.send(ACK);
    assert.equal(textOf(client.guest.segments()), 'lost');
  });

  it('waits while the guest has no room for frames', async () => {
    const client = new Client().open();
    client.guest.room = 0;
    client.stream.events.data(bytes('later'));
    await setImmediate();
    assert.deepEqual(client.guest.segments(), []);
    client.guest.room = 10;
    client.guest.stack.room();
    assert.equal(textOf(client.receive()), 'later');
  });

  it('of many small pieces takes no more memory than their bytes', async () => {
    const client = new Client();
    client.window = 0;
    client.open();
    const piece = new Uint8Array(new ArrayBuffer(65536), 0, 1);
    for (let i = 0; i < 100_000; i++) client.stream.events.data(piece);
    await setImmediate();
    client.window = 64_000;
    let total = 0;
    for (let rounds = 0; total < 100_000 && rounds < 20; rounds++) {
      client.send(ACK);
      total += client.receive(false).reduce((sum, { data }) => sum + data.length, 0);
    }
    assert.equal(total, 100_000);
  });
});

describe('data from the guest', () => {
  it('is taken as far as the window goes, whatever the guest sends', () => {
    const client = new Client().open();
    client.stream.isStuck = true;
    for (let i = 0; i < 40; i++) client.send(ACK, new Uint8Array(60_000));
    const taken = client.stream.written.reduce((sum, { length }) => sum + length, 0);
    assert.ok(taken <= (1 << 20) + 65536, `${taken} bytes`);
    const last = client.guest.segments().at(-1)!;
    assert.equal(last.window, 0);
    client.stream.waiting = 0;
    client.stream.events.drained();
  });

  it('opens the window again when the host takes it', async () => {
    const client = new Client().open();
    client.stream.isStuck = true;
    for (let i = 0; i < 20; i++) client.send(ACK, new Uint8Array(60_000));
    client.guest.segments();
    client.stream.waiting = 0;
    client.stream.events.drained();
    await setImmediate();
    assert.ok(client.guest.segments()[0]!.window << 7 >= 1 << 19);
  });

  it('is taken once, also where it overlaps', () => {
    const client = new Client().open();
    client.send(ACK, bytes('abcdef'));
    client.send(ACK, bytes('defghi'), client.sequence - 3);
    client.send(ACK, bytes('abc'), client.sequence - 9);
    assert.equal(client.stream.text, 'abcdefghi');
  });

  it('ahead of what is missing is left, and said so', async () => {
    const client = new Client().open();
    client.guest.segments();
    client.send(ACK, bytes('later'), client.sequence + 100);
    assert.equal(client.stream.text, '');
    await client.guest.turn();
    assert.equal(client.guest.segments()[0]!.acknowledgment, 1001);
  });

  it('of many segments in a turn is acknowledged once', async () => {
    const client = new Client().open();
    const { guest } = client;
    guest.segments();
    client.send(ACK, bytes('the window is small yet'));
    await guest.turn();
    guest.segments();
    for (let i = 0; i < 5; i++) client.send(ACK, bytes('data'));
    await guest.turn();
    assert.equal(guest.segments().length, 1);
  });
});

describe('a published port', () => {
  function published() {
    const guest = new TestGuest();
    let stream!: FakeStream;
    const open = (events: FakeStream['events']) => {
      stream = new FakeStream({ address: 0, port: 0 }, events);
      return stream;
    };
    assert.ok(guest.stack.accept(8080, open));
    const [syn] = guest.segments();
    assert.deepEqual([syn!.flags, syn!.destination], [SYN, 8080]);
    const reply = (flags: number, more: object = {}) =>
      guest.tcp({
        from: 8080,
        to: syn!.source,
        address: guestNetwork.gateway,
        sequence: 5000,
        acknowledgment: syn!.sequence + 1,
        flags,
        ...more,
      });
    return { guest, stream, reply };
  }

  it('opens a connection to the guest', async () => {
    const { guest, stream, reply } = published();
    stream.events.data(bytes('early'));
    reply(SYN | ACK, { options: [2, 4, 5, 180] });
    await setImmediate();
    assert.equal(textOf(guest.segments()), 'early');
    reply(ACK, { sequence: 5001, data: bytes('answer') });
    assert.equal(stream.text, 'answer');
  });

  it('that the guest does not listen at resets who came', () => {
    const { stream, reply } = published();
    reply(RST | ACK, { sequence: 0 });
    assert.equal(stream.closed, 'aborted');
  });
});

describe('many connections', () => {
  it('are bounded, also those that are not answered', () => {
    const guest = new TestGuest();
    const flood = (first: number) => {
      for (let port = first; port < first + 1000; port++) {
        guest.tcp({ from: port, to: 80, address: remote, sequence: 1, flags: SYN });
      }
    };
    flood(1);
    assert.equal(guest.outside.streams.length, 128);
    for (let from = 2000; guest.outside.streams.length > 0 && from < 20_000; from += 1000) {
      for (const stream of guest.outside.streams) stream.events.connected();
      flood(from);
    }
    assert.equal(guest.stack.usage.tcp, 512);
  });

  it('that nobody knows are reset', () => {
    const guest = new TestGuest();
    const to = { from: 4000, to: 80, address: remote, sequence: 7 };
    guest.tcp({ ...to, acknowledgment: 99, flags: ACK });
    const [reset] = guest.segments();
    assert.deepEqual([reset!.flags, reset!.sequence], [RST, 99]);
    guest.tcp({ ...to, flags: RST });
    assert.deepEqual(guest.segments(), []);
  });

  it('of a guest that goes on elsewhere are ended there', () => {
    const client = new Client().open();
    const records = structuredClone(client.guest.stack.connections);
    const other = new TestGuest();
    other.stack.reset(records);
    const [reset] = other.segments();
    assert.equal(reset!.flags & RST, RST);
    assert.equal(reset!.sequence, client.expected);
    assert.equal(reset!.acknowledgment, client.sequence);
  });
});
