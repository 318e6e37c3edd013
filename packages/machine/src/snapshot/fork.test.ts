import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memorySource } from '@anole/bytes';
import { Board } from '../platform/board.ts';
import { code } from '../platform/testing/programs.ts';
import { devicesFromJson } from './board-state.ts';
import { forkBoard, type Ground, type MachineFork, openFork } from './fork.ts';
import { openSnapshot, type Snapshot } from './read.ts';
import { forkPieces, writeSnapshot } from './write.ts';

const events = { power: () => {}, wake: () => {}, fault: () => {} };
const memorySize = 0x100_0000;
const bare: Ground = { base: undefined, layers: [] };

/** Strides through memory for ever and around, reading and writing. */
const work = `
  auipc s0, 0x10
  lui s1, 0x400
  add s1, s1, s0
  addi t1, zero, 3
  again: addi t0, s0, 0
  loop: ld t2, 0(t0)
  mul t1, t1, t1
  addi t1, t1, 7
  xor t2, t2, t1
  sd t2, 0(t0)
  addi t0, t0, 0x7f0
  bltu t0, s1, loop
  jal zero, again`;

const board = (more: object = {}) =>
  Board.create(
    { memorySize, clock: 'instructions', firmware: true, devices: [], onSerial: () => {}, ...more },
    events,
  );

async function working(instructions: number, more: object = {}): Promise<Board> {
  const made = await board(more);
  const bytes = code(work);
  made.memory.writable(made.memory.base, bytes.length).set(bytes);
  made.hart.reset({ pc: 0x8000_0000n, mode: 'S' });
  made.hart.run(instructions);
  return made;
}

async function restored(snapshot: Snapshot, more: object = {}): Promise<Board> {
  const copy = await board({ fill: snapshot.fill, ...more });
  devicesFromJson(copy, snapshot.devices);
  copy.hart.restoreState(snapshot.hart);
  if (snapshot.code) copy.hart.adoptCode(snapshot.code);
  copy.memory.takeWritten();
  return copy;
}

function saved(of: Board): Buffer {
  const chunks: Uint8Array[] = [];
  writeSnapshot(of, 'instructions', (chunk) => void chunks.push(chunk.slice()));
  return Buffer.concat(chunks);
}

const same = (one: Board, other: Board) => assert.ok(saved(one).equals(saved(other)));
const posted = (fork: MachineFork) => structuredClone(fork);
const size = ({ layers }: MachineFork) => layers.at(-1)!.numbers.length;

describe('a fork of a machine', () => {
  it('goes on as the machine it was made of, bit by bit, and so do its own forks', async () => {
    const original = await working(50_000);
    const first = forkBoard(original, 'instructions', bare);
    const child = await restored(openFork(posted(first), undefined));
    for (const each of [original, child]) each.hart.run(4_321);
    same(child, original);
    const grandchild = await restored(
      openFork(posted(forkBoard(child, 'instructions', first)), undefined),
    );
    const again = await restored(openFork(posted(first), undefined));
    for (const each of [original, grandchild]) each.hart.run(70_000);
    again.hart.run(74_321);
    same(grandchild, original);
    same(again, original);
  });

  it('begins with the code that its parent compiled, and goes on bit by bit', async () => {
    const original = await working(50_000, { jit: { threshold: 1, batch: 1 } });
    const first = forkBoard(original, 'instructions', bare);
    assert.equal(forkBoard(original, 'instructions', first, false).code, undefined);
    const idle = { jit: { threshold: 2 ** 30, batch: 32 } };
    const child = await restored(openFork(posted(first), undefined), idle);
    const sibling = await restored(openFork(posted(first), undefined), idle);
    child.hart.run(33);
    const second = forkBoard(child, 'instructions', first);
    assert.equal(second.code!.modules.length, first.code!.modules.length);
    const grandchild = await restored(openFork(posted(second), undefined), idle);
    // One that writes where its code is runs on without it, and alone.
    child.memory.writable(child.memory.base, 4);
    assert.equal(child.hart.shareCode()!.functions.length, 0);
    for (const each of [original, sibling]) each.hart.run(70_000);
    for (const each of [child, grandchild]) each.hart.run(69_967);
    same(sibling, original);
    same(grandchild, original);
    same(child, original);
  });

  it('copies what was written since the last one', async () => {
    const original = await working(1_000_000);
    const first = forkBoard(original, 'instructions', bare);
    assert.ok(size(first) > 1000);
    original.hart.run(80);
    const second = forkBoard(original, 'instructions', first);
    assert.ok(size(second) <= 12, `${size(second)} pages`);
    original.memory.writeU32(0x8080_0000, 5);
    const third = forkBoard(original, 'instructions', second);
    assert.deepEqual([...third.layers.at(-1)!.numbers], [0x800]);
    const copy = await restored(openFork(third, undefined));
    same(copy, original);
  });

  it('stays small however often it is made', async () => {
    const original = await working(1_000_000);
    let fork = forkBoard(original, 'instructions', bare);
    for (let round = 0; round < 30; round++) {
      original.hart.run(1000);
      fork = forkBoard(original, 'instructions', fork);
      const sizes = fork.layers.map(({ numbers }) => numbers.length);
      assert.ok(sizes.every((size, at) => at === 0 || sizes[at - 1]! > 2 * size));
    }
    const pages = fork.layers.reduce((sum, { numbers }) => sum + numbers.length, 0);
    assert.ok(pages < 2 * size({ ...fork, layers: [fork.layers[0]!] }), `${pages} pages`);
    same(await restored(openFork(fork, undefined)), original);
  });

  it('stands on the snapshot that its machine came from', async () => {
    const file = saved(await working(90_000));
    const snapshot = openSnapshot(memorySource(file));
    const original = await restored(snapshot);
    original.hart.run(100);
    const fork = forkBoard(original, 'instructions', { base: snapshot.sum, layers: [] });
    assert.ok(size(fork) <= 12);
    same(await restored(openFork(posted(fork), snapshot)), original);
    assert.throws(() => openFork(fork, undefined), { code: 'MACHINE_SNAPSHOT_FOREIGN' });
    const changed = openSnapshot(memorySource(saved(await working(90_001))));
    assert.throws(() => openFork(fork, changed), { code: 'MACHINE_SNAPSHOT_FOREIGN' });
    const other = { ...snapshot, shape: { ...snapshot.shape, memorySize: 0x200_0000 } };
    assert.throws(() => openFork(fork, other), { code: 'MACHINE_SNAPSHOT_FOREIGN' });
  });

  it('is written as a file that stands alone', async () => {
    const base = openSnapshot(memorySource(saved(await working(90_000))));
    const original = await restored(base);
    original.hart.run(100);
    const fork = forkBoard(original, 'instructions', { base: base.sum, layers: [] });
    const written = (options = {}) =>
      Buffer.concat(Array.from(forkPieces(posted(fork), base, options), (piece) => piece.slice()));
    assert.ok(written().equals(saved(original)));
    const host = Uint8Array.of(1, 2);
    const file = openSnapshot(memorySource(written({ host })));
    assert.deepEqual(file.host, host);
    const copy = await restored(file);
    for (const each of [original, copy]) each.hart.run(5000);
    same(copy, original);
    assert.throws(() => forkPieces(fork, undefined), { code: 'MACHINE_SNAPSHOT_FOREIGN' });
  });
});
