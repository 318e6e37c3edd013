import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileSource } from '@anole/host';
import { icrcOf, parseRoce } from '@anole/smc';
import { readDatagram } from '../src/capture/frame.ts';
import { readCapture } from '../src/capture/pcap.ts';
import { Opcode } from '../src/layout/roce.ts';
import { isSound, seal } from '../src/roce/checksum.ts';
import { writeRoce } from '../src/roce/packet.ts';
import { sendPacket } from './packets.ts';
import { chance, Wire } from './wire.ts';

const bytesOf = (length: number, seed = 1) => {
  const next = chance(seed);
  return Uint8Array.from({ length }, () => next() * 256);
};

test('messages and writes of all lengths arrive in order', () => {
  using wire = new Wire();
  const [near, far] = wire.ends;
  const memory = new Uint8Array(65536);
  const region = far.memory.register(memory);
  const lengths = [0, 1, 44, 1023, 1024, 1025, 2048, 5000, 8192];
  let done = 0;
  for (const length of lengths) near.pair.post({ payload: bytesOf(length), onDone: () => done++ });
  const { rkey, address } = region;
  near.pair.post({ payload: bytesOf(60000), write: { rkey, address: address + 100n } });
  far.pair.post({ payload: Uint8Array.of(7) });
  wire.run();
  assert.deepEqual(
    far.messages,
    lengths.map((length) => bytesOf(length)),
  );
  assert.deepEqual(memory.subarray(100, 60100), bytesOf(60000));
  assert.deepEqual(near.messages, [Uint8Array.of(7)]);
  assert.equal(done, lengths.length);
});

test('a wire that loses, doubles and reorders changes nothing', () => {
  for (let seed = 1; seed <= 20; seed++) {
    using wire = new Wire({ mtu: 256 });
    const random = chance(seed);
    wire.copies = () => (random() < 0.05 ? 0 : random() < 0.1 ? 2 : 1);
    wire.choose = (count) => (random() < 0.9 ? 0 : Math.floor(random() * count));
    const [near, far] = wire.ends;
    const memory = new Uint8Array(65536);
    const { rkey, address } = far.memory.register(memory);
    const expected = new Uint8Array(65536);
    for (let round = 0; round < 40; round++) {
      const payload = bytesOf(Math.floor(random() * 4000), round + 1);
      const at = Math.floor(random() * 60000);
      expected.set(payload, at);
      near.pair.post({ payload, write: { rkey, address: address + BigInt(at) } });
      near.pair.post({ payload: Uint8Array.of(round) });
      far.pair.post({ payload: bytesOf(44, round) });
    }
    wire.run();
    assert.deepEqual([near.failure, far.failure], [undefined, undefined], `seed ${seed}`);
    assert.deepEqual(memory, expected);
    assert.deepEqual(
      far.messages,
      Array.from({ length: 40 }, (_, round) => Uint8Array.of(round)),
    );
    assert.deepEqual(
      near.messages,
      Array.from({ length: 40 }, (_, round) => bytesOf(44, round)),
    );
  }
});

test('a peer that does not answer is given up after the eighth time', () => {
  using wire = new Wire();
  let sent = 0;
  wire.copies = () => {
    sent++;
    return 0;
  };
  wire.ends[0].pair.post({ payload: bytesOf(44) });
  wire.run();
  assert.equal(sent, 8);
  assert.equal(wire.ends[0].failure?.code, 'SMC_LINK_LOST');
});

test('a peer that has no place for a message is asked again, without an end', () => {
  using wire = new Wire();
  const [near, far] = wire.ends;
  let refused = 0;
  wire.copies = (bytes) => {
    const { opcode, sequence } = parseRoce(bytes);
    if (opcode === Opcode.acknowledge || refused === 30) return 1;
    refused++;
    const acknowledge = { syndrome: 0x20 | 12, count: 0 };
    const base = { queuePair: 20, wantsAcknowledge: false, payload: new Uint8Array() };
    const nak = writeRoce({ ...base, opcode: Opcode.acknowledge, sequence, acknowledge });
    wire.packets.push({ to: 0, bytes: nak });
    return 0;
  };
  near.pair.post({ payload: bytesOf(44) });
  wire.run();
  assert.deepEqual(far.messages, [bytesOf(44)]);
});

test('what is outside of a region is not written, and ends the link', () => {
  const cases: [offset: bigint, length: number, key: number][] = [
    [-1n, 10, 0],
    [4090n, 7, 0],
    [4096n, 1, 0],
    [0n, 4097, 0],
    [0n, 1, 1],
    [-(2n ** 40n), 10, 0],
  ];
  for (const [offset, length, key] of cases) {
    using wire = new Wire();
    const [near, far] = wire.ends;
    const memory = new Uint8Array(4096);
    const { rkey, address } = far.memory.register(memory);
    const at = BigInt.asUintN(64, address + offset);
    const payload = new Uint8Array(length).fill(1);
    near.pair.post({ payload, write: { rkey: (rkey + key) >>> 0, address: at } });
    wire.run();
    assert.equal(far.failure?.code, 'SMC_BAD_PEER');
    assert.equal(near.failure?.code, 'SMC_LINK_LOST');
    assert.ok(memory.every((byte) => byte === 0));
  }
});

test('packets that contradict those before end the link', () => {
  const base = { queuePair: 21, wantsAcknowledge: false, payload: new Uint8Array(1024) };
  const write = (length: number) => ({ address: 4096n, rkey: 1, length });
  const short = new Uint8Array(100);
  const stories: (readonly Partial<Parameters<typeof writeRoce>[0]>[])[] = [
    [{ opcode: Opcode.sendMiddle }],
    [{ opcode: Opcode.writeLast }],
    [{ opcode: Opcode.sendFirst }, { opcode: Opcode.sendOnly }],
    [{ opcode: Opcode.sendFirst }, { opcode: Opcode.writeMiddle }],
    [{ opcode: Opcode.sendFirst, payload: short }],
    [{ opcode: Opcode.sendFirst }, { opcode: Opcode.sendLast, payload: new Uint8Array(0) }],
    [{ opcode: Opcode.sendOnly, payload: new Uint8Array(1025) }],
    [{ opcode: Opcode.sendFirst }, ...Array(8).fill({ opcode: Opcode.sendMiddle })],
    [{ opcode: Opcode.writeOnly, write: write(1) }],
  ];
  for (const story of stories) {
    using wire = new Wire();
    const far = wire.ends[1];
    story.forEach((packet, index) => {
      const sequence = (0xfffff0 + index) & 0xffffff;
      far.pair.receive(parseRoce(writeRoce({ ...base, opcode: 0, sequence, ...packet })));
    });
    assert.equal(far.failure?.code, 'SMC_BAD_PEER', `story ${stories.indexOf(story)}`);
    assert.equal(far.messages.length, 0);
  }
});

test('random packets never crash a queue pair, nor write outside', () => {
  for (let seed = 1; seed <= 400; seed++) {
    using wire = new Wire();
    const random = chance(seed);
    const below = (count: number) => Math.floor(random() * count);
    const [near, far] = wire.ends;
    const around = new Uint8Array(12288);
    const { rkey, address } = far.memory.register(around.subarray(4096, 8192));
    far.pair.post({ payload: bytesOf(3000) });
    for (let step = 0; step < 30; step++) {
      const opcodes = Object.values(Opcode);
      const opcode = opcodes[below(opcodes.length)]!;
      const isWrite = opcode === Opcode.writeFirst || opcode === Opcode.writeOnly;
      const isAck = opcode === Opcode.acknowledge;
      const length = below(8) === 0 ? below(2 ** 32) : below(5000);
      const packet = writeRoce({
        opcode,
        queuePair: 21,
        sequence: (0xfffff0 + step - below(3)) & 0xffffff,
        wantsAcknowledge: random() < 0.5,
        ...(isWrite && { write: { address: address + BigInt(below(5000) - 500), rkey, length } }),
        ...(isAck && { acknowledge: { syndrome: below(256), count: below(100) } }),
        payload: new Uint8Array(isAck ? 0 : random() < 0.7 ? 1024 : below(1100)).fill(1),
      });
      far.pair.receive(parseRoce(packet));
    }
    near.pair.close();
    assert.ok(around.subarray(0, 4096).every((byte) => byte === 0));
    assert.ok(around.subarray(8192).every((byte) => byte === 0));
  }
});

test('checksums that Linux sent are right, whatever the identification, and no other', async () => {
  using source = fileSource(`${import.meta.dirname}/vectors/linux-6.12-smcrv2-rxe.pcap`);
  let count = 0;
  for await (const packet of readCapture(source, {})) {
    const datagram = readDatagram(packet);
    if (datagram?.protocol !== 'udp') continue;
    const { payload: udp, sourcePort, destinationPort } = datagram;
    const from = { address: datagram.source, port: sourcePort };
    const to = { address: datagram.destination, port: destinationPort };
    assert.ok(isSound(udp, from, to));
    for (const at of [0, 5, 11, udp.length - 5, udp.length - 1]) {
      const damaged = udp.slice();
      damaged[at]! ^= 0x10;
      assert.ok(!isSound(damaged, from, to), `byte ${at}`);
    }
    count++;
  }
  assert.ok(count > 100);
});

test('a sealed packet has the checksum of a packet with identification 0', () => {
  const packet = sendPacket('10.0.0.1', '10.0.0.2', bytesOf(44));
  const udp = packet.slice(28);
  udp.fill(0, -4);
  seal(udp, { address: '10.0.0.1', port: 49152 }, { address: '10.0.0.2', port: 4791 });
  assert.deepEqual(udp, packet.slice(28));
  assert.equal(
    new DataView(udp.buffer).getUint32(udp.length - 4, true),
    icrcOf(packet.slice(0, -4)),
  );
});
