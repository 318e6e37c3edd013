import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as V from '../virtio/registers.ts';
import { type DriverOptions, TestDriver } from '../virtio/testing/driver.ts';
import { type NetPeer, VirtioNet } from './device.ts';
import type { FrameOffload } from './header.ts';
import * as R from './registers.ts';

const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
const bytes = (length: number, first = 1) => Uint8Array.from({ length }, (_, i) => first + i);

/** Keeps what the guest sends. */
class Recorder implements NetPeer {
  readonly frames: { frame: Uint8Array; offload: FrameOffload }[] = [];
  readonly calls: string[] = [];

  /** What {@link receive} answers. */
  keeps = true;

  receive(frame: Uint8Array, offload: FrameOffload): boolean {
    this.frames.push({ frame, offload });
    this.calls.push('receive');
    return this.keeps;
  }

  flush(): void {
    this.calls.push('flush');
  }

  room(): void {
    this.calls.push('room');
  }
}

function started(options?: DriverOptions) {
  const peer = new Recorder();
  const device = new VirtioNet({ mac, peer });
  const driver = new TestDriver(device, options).start();
  peer.calls.length = 0;
  return { peer, device, driver };
}

const header = (fields: Partial<Record<number, number>> = {}) => {
  const header = new Uint8Array(R.HEADER_SIZE);
  for (const [offset, value] of Object.entries(fields)) {
    if (Number(offset) < 2) header[Number(offset)] = value!;
    else new DataView(header.buffer).setUint16(Number(offset), value!, true);
  }
  return header;
};

describe('the network device', () => {
  it('tells its address, its link and its MTU', () => {
    const { driver } = started();
    assert.equal(driver.read(V.BAR_DEVICE, 4), 2);
    assert.equal(driver.read(V.BAR_DEVICE + 4, 2), 0x0100);
    assert.equal(driver.read(V.BAR_DEVICE + R.CONFIG_STATUS, 2), 1);
    assert.equal(driver.read(V.BAR_DEVICE + R.CONFIG_MTU, 2), 1500);
  });

  it('refuses addresses of groups and MTUs that are none', () => {
    const peer = new Recorder();
    for (const options of [
      { mac: Uint8Array.of(1, 0, 0, 0, 0, 0) },
      { mac: bytes(5) },
      { mac, mtu: 67 },
      { mac, mtu: 65536 },
      { mac, mtu: 1500.5 },
    ]) {
      assert.throws(() => new VirtioNet({ ...options, peer }), { code: 'MACHINE_BAD_OPTION' });
    }
  });

  it('carries frames out, wherever the driver parts them, and says when there are no more', () => {
    for (const parts of [[12, 60], [5, 67], [40, 32], [1, 11, 60], [72]]) {
      const { peer, driver } = started();
      const whole = new Uint8Array([...header(), ...bytes(60)]);
      const ends = parts.map((_, i) => parts.slice(0, i + 1).reduce((sum, part) => sum + part));
      const pieces = ends.map((end, i) => whole.subarray(end - parts[i]!, end));
      driver.post(R.TRANSMIT_QUEUE, pieces);
      driver.send(R.TRANSMIT_QUEUE, pieces);
      assert.deepEqual(peer.calls, ['receive', 'receive', 'flush']);
      assert.deepEqual(peer.frames[0], { frame: bytes(60), offload: {} });
      assert.equal(driver.used(R.TRANSMIT_QUEUE).length, 2);
    }
  });

  it('uses the memory of a frame again, unless the peer keeps it', () => {
    for (const keeps of [true, false]) {
      const { peer, driver } = started();
      peer.keeps = keeps;
      driver.send(R.TRANSMIT_QUEUE, [header(), bytes(60)]);
      driver.send(R.TRANSMIT_QUEUE, [header(), bytes(60, 2)]);
      const [first, second] = peer.frames;
      assert.equal(first!.frame.buffer === second!.frame.buffer, !keeps);
    }
  });

  it('passes on what the driver left to the device', () => {
    const { peer, driver } = started();
    const fields = {
      0: R.FLAG_NEEDS_CSUM,
      [R.HEADER_GSO_TYPE]: R.GSO_TCPV4,
      [R.HEADER_GSO_SIZE]: 1460,
      [R.HEADER_CSUM_START]: 34,
      [R.HEADER_CSUM_OFFSET]: 16,
    };
    driver.send(R.TRANSMIT_QUEUE, [header(fields), bytes(200)]);
    assert.deepEqual(peer.frames[0]!.offload, {
      checksum: { start: 34, offset: 16 },
      segments: { version: 4, size: 1460 },
    });
  });

  it('needs a reset after frames and headers that no driver makes', () => {
    const broken: readonly (readonly Uint8Array[])[] = [
      [bytes(11)],
      [header({ 0: 1, [R.HEADER_CSUM_START]: 34, [R.HEADER_CSUM_OFFSET]: 16 }), bytes(51)],
      [header({ [R.HEADER_GSO_TYPE]: R.GSO_TCPV4, [R.HEADER_GSO_SIZE]: 1460 }), bytes(80)],
      [header({ 0: 1, [R.HEADER_GSO_TYPE]: R.GSO_TCPV4 }), bytes(80)],
      [header({ 0: 1, [R.HEADER_GSO_TYPE]: 3, [R.HEADER_GSO_SIZE]: 1460 }), bytes(80)],
      [header(), new Uint8Array(R.MAX_FRAME + 1)],
    ];
    for (const chain of broken) {
      const { driver, peer } = started();
      driver.send(R.TRANSMIT_QUEUE, chain);
      assert.equal(driver.status & V.STATUS_NEEDS_RESET, V.STATUS_NEEDS_RESET);
      assert.deepEqual(peer.frames, []);
    }
  });

  it('gives the guest frames, each with a header', () => {
    const { device, driver } = started();
    driver.post(R.RECEIVE_QUEUE, [], [1526]);
    assert.ok(device.send(bytes(54), [bytes(10, 100), bytes(20, 150)], {}));
    const [used] = driver.used(R.RECEIVE_QUEUE);
    assert.equal(used!.written, 12 + 84);
    assert.deepEqual(used!.bytes.subarray(0, 12), header({ [R.HEADER_BUFFERS]: 1 }));
    assert.deepEqual(
      used!.bytes.subarray(12),
      new Uint8Array([...bytes(54), ...bytes(10, 100), ...bytes(20, 150)]),
    );
  });

  it('puts a large frame into several buffers, which the guest gets together', () => {
    const { device, driver } = started();
    for (let i = 0; i < 5; i++) driver.post(R.RECEIVE_QUEUE, [], [100, 28]);
    const offload = {
      checksum: { start: 34, offset: 16 },
      segments: { version: 4, size: 100 },
    } as const;
    assert.ok(device.send(bytes(54), [bytes(250)], offload));
    const used = driver.used(R.RECEIVE_QUEUE);
    assert.deepEqual(
      used.map(({ written }) => written),
      [128, 128, 60],
    );
    const view = new DataView(used[0]!.bytes.buffer);
    assert.equal(view.getUint16(R.HEADER_BUFFERS, true), 3);
    assert.equal(view.getUint16(R.HEADER_GSO_SIZE, true), 100);
    assert.equal(view.getUint16(R.HEADER_LENGTH, true), 54);
    const all = new Uint8Array(used.flatMap((part) => [...part.bytes]));
    assert.deepEqual(all.subarray(12), new Uint8Array([...bytes(54), ...bytes(250)]));
    assert.ok(device.send(bytes(54), [], {}));
    assert.equal(driver.used(R.RECEIVE_QUEUE).length, 1);
  });

  it('takes no buffer where they do not suffice, and says when there are more', () => {
    for (const eventIndex of [false, true]) {
      const { device, driver, peer } = started({ eventIndex });
      driver.post(R.RECEIVE_QUEUE, [], [128]);
      driver.post(R.RECEIVE_QUEUE, [], [128]);
      assert.equal(device.send(bytes(54), [bytes(250)], {}), false);
      assert.deepEqual(driver.used(R.RECEIVE_QUEUE), []);
      assert.deepEqual(peer.calls, []);
      driver.send(R.RECEIVE_QUEUE, [], [128]);
      assert.deepEqual(peer.calls, ['room']);
      assert.ok(device.send(bytes(54), [bytes(250)], {}));
      assert.equal(driver.used(R.RECEIVE_QUEUE).length, 3);
    }
  });

  it('has no room before there is a driver', () => {
    const device = new VirtioNet({ mac, peer: new Recorder() });
    assert.equal(device.send(bytes(60), [], {}), false);
    const driver = new TestDriver(device);
    assert.equal(device.send(bytes(60), [], {}), false);
    assert.equal(device.accepts('checksum'), false);
    driver.start();
    assert.equal(device.accepts('segments4'), true);
  });

  it('accepts no more than the driver does', () => {
    const { device } = started({ features: [R.F_GUEST_CSUM, R.F_GUEST_TSO6] });
    assert.equal(device.accepts('checksum'), true);
    assert.equal(device.accepts('segments4'), false);
    assert.equal(device.accepts('segments6'), true);
  });

  it('needs a reset after a receive buffer that is too small', () => {
    for (const [features, room] of [
      [[], 60],
      [[R.F_MRG_RXBUF], 11],
    ] as const) {
      const { device, driver } = started({ features });
      driver.post(R.RECEIVE_QUEUE, [], [room]);
      assert.equal(device.send(bytes(60), [], {}), false);
      assert.equal(driver.status & V.STATUS_NEEDS_RESET, V.STATUS_NEEDS_RESET);
    }
  });

  it('stands whatever a driver writes into its rings', () => {
    const chain = fc.record({
      address: fc.oneof(fc.nat(0x100_0000), fc.nat()),
      length: fc.oneof(fc.nat(5000), fc.nat()),
      flags: fc.nat(7),
      next: fc.nat(300),
      queue: fc.nat(1),
      available: fc.nat(300),
    });
    fc.assert(
      fc.property(
        fc.array(chain, { maxLength: 20 }),
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        (chains, junk) => {
          const { device, driver } = started({ indirect: true });
          driver.memory.writable(driver.memory.base, 12).set(junk);
          for (const [
            index,
            { address, length, flags, next, queue, available },
          ] of chains.entries()) {
            const target = driver.queueAt(queue);
            const buffer = { address: driver.memory.base + address, length, flags };
            target.descriptor(target.descriptors, index, buffer, flags, next);
            target.makeAvailable(available % chains.length);
            driver.kick(queue);
            device.send(bytes(54), [bytes(100)], {});
          }
          driver.start();
          driver.send(R.TRANSMIT_QUEUE, [header(), bytes(60)]);
          assert.equal(driver.status, 15);
        },
      ),
      { seed: 4, numRuns: 50 },
    );
  });
});
