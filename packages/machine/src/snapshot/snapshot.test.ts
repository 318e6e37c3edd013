import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32c, memorySource } from '@anole/bytes';
import { SharedMemory } from '../devices/virtio/shared-memory.ts';
import { VirtioConsole } from '../devices/virtio-console/device.ts';
import { VirtioFs } from '../devices/virtio-fs/device.ts';
import { Machine } from '../machine.ts';
import { Board } from '../platform/board.ts';
import { buildImage, code, loadConstant } from '../platform/testing/programs.ts';
import { repeatableRandom } from '../run/repeatable-random.ts';
import { devicesFromJson } from './board-state.ts';
import { restoreHarts } from './hart-state.ts';
import { HEADER } from './layout.ts';
import { openSnapshot } from './read.ts';
import { type SnapshotSink, writeSnapshot } from './write.ts';

const powerOff = `addi a0, zero, 0\naddi a1, zero, 0\naddi a6, zero, 0
  ${loadConstant('a7', 0x5352_5354)}\necall`;

/** Waits for a byte from the serial port, sends it back, powers off. */
const echo = `
  lui t0, 0x10000
  addi t1, zero, 1
  sb t1, 1(t0)
  lui t2, 0xc000
  sw t1, 40(t2)
  lui t3, 0x2
  addi t3, t3, 0x80
  add t3, t3, t2
  addi t1, zero, 1024
  sw t1, 0(t3)
  addi t1, zero, 512
  csrrs zero, 0x104, t1
  wait: wfi
  lbu t4, 5(t0)
  andi t4, t4, 1
  beq t4, zero, wait
  lbu t4, 0(t0)
  sb t4, 0(t0)
  ${powerOff}`;

/** Strides through memory for ever, writing the time and a running product. */
const work = `
  auipc t0, 0x10
  addi t1, zero, 3
  loop: mul t1, t1, t1
  addi t1, t1, 7
  csrrs t2, 0xc01, zero
  sd t1, 0(t0)
  sd t2, 8(t0)
  addi t0, t0, 0x7f0
  jal zero, loop`;

const devices = () => [
  new VirtioConsole([
    { console: true, onData: () => {} },
    { name: 'agent', onData: () => {} },
  ]),
  new VirtioFs({ tag: 'root', handle: () => undefined }),
];
const events = { power: () => {}, wake: () => {}, fault: () => {} };
const board = (more: object = {}) =>
  Board.create(
    {
      memorySize: 0x100_0000,
      clock: 'instructions',
      firmware: true,
      devices: devices(),
      onSerial: () => {},
      ...more,
    },
    events,
  );

function collect(write: (sink: SnapshotSink) => void): Uint8Array {
  const chunks: Uint8Array[] = [];
  write((chunk) => void chunks.push(chunk.slice()));
  return new Uint8Array(Buffer.concat(chunks));
}

const saved = (of: Board) => collect((sink) => writeSnapshot(of, 'instructions', sink));

/** Not `deepEqual`, which takes seconds to tell how megabytes differ. */
function same(one: Uint8Array, other: Uint8Array): void {
  const at = one.findIndex((byte, index) => byte !== other[index]);
  assert.equal(at, -1, `they differ at ${at}`);
  assert.equal(one.length, other.length);
}

async function restored(file: Uint8Array): Promise<Board> {
  const snapshot = openSnapshot(memorySource(file));
  const { memorySize } = snapshot.shape;
  const copy = await board({ memorySize, fill: snapshot.fill });
  devicesFromJson(copy, snapshot.devices);
  restoreHarts(copy, snapshot.hart);
  return copy;
}

async function working(instructions: number): Promise<Board> {
  const made = await board();
  const bytes = code(work);
  made.memory.writable(made.memory.base, bytes.length).set(bytes);
  made.hart.reset({ pc: 0x8000_0000n, mode: 'S' });
  made.hart.run(instructions);
  return made;
}

describe('a snapshot', () => {
  it('goes on as the machine that it was made of, bit by bit', async () => {
    const original = await working(12_345);
    const copy = await restored(saved(original));
    for (const each of [original, copy]) {
      each.uart.write(1, 1, 5);
      each.plic.write(40, 4, 3);
      each.rtc.write(8, 4, 77);
      each.hart.stimecmp = 123_456n;
      each.hart.run(20_000);
    }
    same(saved(copy), saved(original));
    const again = await restored(saved(copy));
    assert.equal(again.plic.state.priority[10], 3);
    for (const each of [original, again]) each.hart.run(5_000);
    same(saved(again), saved(original));
  });

  it('reads only pages that are touched', async () => {
    const file = saved(await working(5_000));
    const reads: number[] = [];
    const source = {
      size: file.length,
      read(offset: number, length: number) {
        reads.push(offset);
        return file.subarray(offset, offset + length);
      },
    };
    const snapshot = openSnapshot(source);
    const before = reads.length;
    const copy = await board({ fill: snapshot.fill });
    copy.hart.restoreState(snapshot.hart);
    copy.hart.run(7);
    assert.ok(reads.length - before <= 3);
    assert.ok(snapshot.contentSize > 20 * 4096);
    assert.ok(snapshot.contentSize < 0x100_0000 / 4);
  });

  it('of a machine that waits wakes with what comes', async () => {
    const machine = await Machine.create({ kernel: buildImage(echo), memoryMiB: 64 });
    const running = machine.run();
    const chunks: Uint8Array[] = [];
    await machine.save((chunk) => void chunks.push(chunk.slice()), {
      whenIdle: true,
      host: Uint8Array.of(1, 2, 3),
      identity: new Uint8Array(32).fill(9),
    });
    const file = new Uint8Array(Buffer.concat(chunks));
    await machine.writeSerial(Uint8Array.of(65));
    assert.deepEqual(await running, { reason: 'poweroff', code: 0 });
    await assert.rejects(
      machine.save(() => {}),
      { code: 'MACHINE_WRONG_STATE' },
    );
    for (const byte of [66, 67]) {
      const output: number[] = [];
      const snapshot = openSnapshot(memorySource(file), new Uint8Array(32).fill(9));
      assert.deepEqual([...snapshot.host], [1, 2, 3]);
      const copy = await Machine.restore({ snapshot, onSerial: (bytes) => output.push(...bytes) });
      const end = copy.run();
      await copy.writeSerial(Uint8Array.of(byte));
      assert.deepEqual(await end, { reason: 'poweroff', code: 0 });
      assert.deepEqual(output, [byte]);
    }
  });

  it('waits until no request is under way', async () => {
    const one = await Machine.create({ kernel: buildImage(echo), memoryMiB: 64 });
    const running = one.run();
    const stop = new AbortController();
    const pending = one.writeSerial(new Uint8Array(100));
    const save = one.save(() => assert.fail('saved'), { signal: stop.signal });
    await assert.rejects(
      one.save(() => {}),
      { code: 'MACHINE_WRONG_STATE' },
    );
    await assert.rejects(save, { code: 'MACHINE_WRONG_STATE' });
    await Promise.all([running, pending]);
  });
});

/** Two file systems, of which the second shares memory. */
const sharing = () => {
  const sharedMemory = new SharedMemory();
  const handle = () => undefined;
  const second = new VirtioFs({ tag: 'data', handle, sharedMemory });
  return { sharedMemory, devices: [new VirtioFs({ tag: 'root', handle }), second] };
};
const WINDOW = 0x400_0000;

async function savedWith(devices: readonly VirtioFs[], prepare = () => {}): Promise<Uint8Array> {
  const kernel = buildImage(powerOff);
  const machine = await Machine.create({ kernel, memoryMiB: 64, devices });
  prepare();
  return collectAll((sink) => machine.save(sink));
}

async function collectAll(write: (sink: SnapshotSink) => Promise<void>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  await write((chunk) => void chunks.push(chunk.slice()));
  return new Uint8Array(Buffer.concat(chunks));
}

describe('a snapshot of a machine that shares memory with its devices', () => {
  it('has what lies there', async () => {
    const { sharedMemory, devices } = sharing();
    const file = await savedWith(devices, () => sharedMemory.at(WINDOW - 3, 3).set([7, 8, 9]));
    const snapshot = openSnapshot(memorySource(file));
    assert.equal(snapshot.shape.memorySize, 2 * WINDOW);
    assert.equal(snapshot.shape.devices[1]!.sharedMemory, WINDOW);
    const again = sharing();
    const copy = await Machine.restore({ snapshot, devices: again.devices });
    assert.equal(again.sharedMemory.size, WINDOW);
    assert.deepEqual([...again.sharedMemory.at(WINDOW - 3, 3)], [7, 8, 9]);
    assert.deepEqual(await copy.run(), { reason: 'poweroff', code: 0 });
  });

  it('is refused where the device shares none', async () => {
    const snapshot = openSnapshot(memorySource(await savedWith(sharing().devices)));
    const plain = new VirtioFs({ tag: 'data', handle: () => undefined });
    const devices = [sharing().devices[0]!, plain];
    await assert.rejects(Machine.restore({ snapshot, devices }), {
      code: 'MACHINE_SNAPSHOT_FOREIGN',
    });
  });

  it('and one of before devices could share memory: they share none then', async () => {
    const plain = new VirtioFs({ tag: 'data', handle: () => undefined });
    const file = await savedWith([sharing().devices[0]!, plain]);
    const snapshot = openSnapshot(memorySource(file));
    assert.ok(!('sharedMemory' in snapshot.shape.devices[1]!));
    const { sharedMemory, devices } = sharing();
    const copy = await Machine.restore({ snapshot, devices });
    assert.equal(sharedMemory.size, 0);
    assert.deepEqual(await copy.run(), { reason: 'poweroff', code: 0 });
  });

  it('is refused where it says what no machine has', async () => {
    const snapshot = openSnapshot(memorySource(await savedWith(sharing().devices)));
    for (const sharedMemory of [2 * WINDOW, 4096, -1, '1' as never]) {
      const devices = [snapshot.shape.devices[0]!, { ...snapshot.shape.devices[1]!, sharedMemory }];
      const changed = { ...snapshot, shape: { ...snapshot.shape, devices } };
      await assert.rejects(Machine.restore({ snapshot: changed, devices: sharing().devices }), {
        code: 'MACHINE_SNAPSHOT_DAMAGED',
      });
    }
  });
});

describe('a snapshot that is not whole or not ours', () => {
  const refuse = (file: Uint8Array, code: string, identity?: Uint8Array) =>
    assert.throws(() => openSnapshot(memorySource(file), identity), { code });

  it('is refused by name', async () => {
    const file = saved(await working(10_000));
    refuse(new Uint8Array(0), 'MACHINE_SNAPSHOT_FOREIGN');
    refuse(new Uint8Array(1000), 'MACHINE_SNAPSHOT_FOREIGN');
    refuse(file.subarray(0, 70), 'MACHINE_SNAPSHOT_DAMAGED');
    refuse(file.subarray(0, -1), 'MACHINE_SNAPSHOT_DAMAGED');
    refuse(file, 'MACHINE_SNAPSHOT_FOREIGN', new Uint8Array(32).fill(1));
    const newer = file.slice();
    newer[HEADER.version] = 99;
    refuse(newer, 'MACHINE_SNAPSHOT_VERSION');
    const slow = { size: file.length, read: async () => file };
    assert.throws(() => openSnapshot(slow), { code: 'MACHINE_BAD_OPTION' });
  });

  it('is refused where the devices are others', async () => {
    const machine = await Machine.create({
      kernel: buildImage(powerOff),
      memoryMiB: 64,
      devices: devices(),
    });
    const chunks: Uint8Array[] = [];
    await machine.save((chunk) => void chunks.push(chunk.slice()));
    const snapshot = openSnapshot(memorySource(new Uint8Array(Buffer.concat(chunks))));
    for (const others of [[], devices().slice(1), devices().reverse()]) {
      await assert.rejects(Machine.restore({ snapshot, devices: others }), {
        code: 'MACHINE_SNAPSHOT_FOREIGN',
      });
    }
    const copy = await Machine.restore({ snapshot, devices: devices() });
    assert.deepEqual(await copy.run(), { reason: 'poweroff', code: 0 });
  });

  it('ends the machine where a page is damaged', async () => {
    const file = saved(await working(10_000)).slice();
    file.fill(0xff, file.length - 4096);
    const copy = await restored(file);
    assert.throws(() => copy.memory.readable(copy.memory.base, 0x80_0000), {
      code: 'MACHINE_SNAPSHOT_DAMAGED',
    });
  });

  it('raises nothing else whatever its bytes are', async () => {
    const file = saved(await working(10_000));
    const random = repeatableRandom(7);
    const draw = (below: number) => {
      const bytes = new Uint8Array(4);
      random(bytes);
      return new DataView(bytes.buffer).getUint32(0) % below;
    };
    const parts = 64 + 7 * 24 + 2000;
    for (let round = 0; round < 300; round++) {
      const changed = file.slice();
      // Mostly where the structure is, and with a right sum of the header half of the time.
      for (let n = draw(3); n >= 0; n--) {
        const at = draw(2) === 0 ? draw(64 + 7 * 24) : draw(parts);
        changed[at] = draw(256);
      }
      if (round % 2 === 0) fixSums(changed);
      try {
        const copy = await restored(changed);
        copy.hart.run(100);
      } catch (error) {
        const { code } = error as { code?: string };
        assert.match(`${code}: ${error}`, /^MACHINE_(SNAPSHOT_|BAD_CONFIG)/);
      }
    }
  });
});

/** Makes the sums of header and sections right, as someone would who means harm. */
function fixSums(file: Uint8Array): void {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 64; at < 64 + 6 * 24; at += 24) {
    const offset = Number(view.getBigUint64(at + 8, true));
    const length = Number(view.getBigUint64(at + 16, true));
    if (offset + length > file.length) continue;
    view.setUint32(at + 4, crc32c(file.subarray(offset, offset + length)), true);
  }
  const head = file.slice(0, 64 + 7 * 24);
  head.fill(0, HEADER.sum, HEADER.sum + 4);
  view.setUint32(HEADER.sum, crc32c(head), true);
}
