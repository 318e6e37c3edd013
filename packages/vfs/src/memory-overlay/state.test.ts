import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareTrees } from '../compare.ts';
import { renderDifference } from '../difference.ts';
import {
  type ChunkStore,
  type MemoryOverlay,
  memoryOverlay,
  readOverlay,
  type StoredChunk,
  writeOverlay,
} from '../memory-overlay.ts';
import { MemoryTree } from '../memory-tree.ts';
import type { TreeNode } from '../tree.ts';
import type { WritableNode } from '../writable.ts';

const text = (string: string) => new TextEncoder().encode(string);
const file = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
const directory = { type: 'directory', mode: 0o755, uid: 0, gid: 0 } as const;

function image(): MemoryTree {
  const tree = new MemoryTree();
  for (const name of ['a', 'b', 'd/a', 'd/b', 'd/e/a']) tree.putFile(name, text(name.repeat(9000)));
  return tree;
}

const shared = image();

/** The other side of a posting. */
async function forked(
  tree: MemoryOverlay,
  lower: MemoryTree = shared,
  brief = true,
): Promise<MemoryOverlay> {
  const copy = memoryOverlay(lower);
  await copy.restore(structuredClone(tree.save({ brief })));
  return copy;
}

/** The file of a saved overlay. */
class Saved implements ChunkStore {
  readonly lines: string[];
  readonly #pieces: Uint8Array[] = [];
  reads = 0;

  constructor(tree: MemoryOverlay, from?: ChunkStore) {
    const put = (chunk: Uint8Array | StoredChunk) => {
      this.#pieces.push(chunk instanceof Uint8Array ? chunk.slice() : from!.read(chunk));
      return { length: chunk.length, offset: this.#pieces.length - 1, sum: 0 };
    };
    this.lines = [...writeOverlay(tree.save(), put)];
  }

  read({ offset }: StoredChunk): Uint8Array {
    this.reads++;
    return this.#pieces[offset]!;
  }

  async restored(now?: () => { seconds: number; nanoseconds: number }): Promise<MemoryOverlay> {
    const copy = memoryOverlay(shared, now && { now });
    await copy.restore(readOverlay(this.lines), this);
    return copy;
  }
}

async function assertSame(one: MemoryOverlay, other: MemoryOverlay): Promise<void> {
  for await (const difference of compareTrees(one, other)) {
    assert.fail(renderDifference(difference));
  }
  assert.deepEqual(one.usage(), other.usage());
}

const names = fc.constantFrom('a', 'b', 'd', 'e');
const steps = fc.array(
  fc.record({
    what: fc.constantFrom(
      'write',
      'create',
      'mkdir',
      'unlink',
      'rmdir',
      'rename',
      'link',
      'cut',
      'punch',
    ),
    path: fc.array(names, { minLength: 1, maxLength: 3 }),
    other: fc.array(names, { minLength: 1, maxLength: 3 }),
    at: fc.integer({ min: 0, max: 40_000 }),
  }),
  { maxLength: 25 },
);
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

async function find(
  tree: MemoryOverlay,
  path: readonly string[],
): Promise<WritableNode | undefined> {
  let node: WritableNode | undefined = tree.root;
  for (const name of path) node = node && (await node.lookup(name));
  return node;
}

/** Does it where it can be done. */
async function act(tree: MemoryOverlay, { what, path, other, at }: Step): Promise<void> {
  try {
    const node = await find(tree, path);
    const parent = await find(tree, path.slice(0, -1));
    const to = await find(tree, other.slice(0, -1));
    const name = path.at(-1)!;
    if (what === 'write') await node?.write(at, text(`${at}`.repeat(1 + (at % 900))));
    else if (what === 'create') await parent?.create(name, file);
    else if (what === 'mkdir') await parent?.create(name, directory);
    else if (what === 'unlink') await parent?.unlink(name);
    else if (what === 'rmdir') await parent?.removeDirectory(name);
    else if (what === 'cut') await node?.change({ size: at });
    else if (what === 'punch') await node?.punchHole(at, 9000);
    else if (what === 'link' && node && to) await to.link(other.at(-1)!, node);
    else if (to) await parent?.rename(name, to, other.at(-1)!);
  } catch (error) {
    assert.match(String((error as { code?: string }).code), /^VFS_/);
  }
}

describe('an overlay that goes on from another one', () => {
  it('is the same tree, and then each changes alone', async () => {
    await fc.assert(
      fc.asyncProperty(steps, steps, async (before, after) => {
        const now = () => ({ seconds: 1, nanoseconds: 0 });
        const origin = memoryOverlay(shared, { now });
        for (const step of before) await act(origin, step);
        const copy = await forked(origin);
        await assertSame(copy, origin);
        const untouched = await forked(origin, shared, false);
        const again = await forked(copy);
        const saved = new Saved(copy);
        const stored = await saved.restored(now);
        for (const step of after) await act(origin, step);
        await assertSame(stored, untouched);
        await assertSame(copy, untouched);
        await assertSame(again, untouched);
        for (const step of after) await act(copy, step);
        await assertSame(again, untouched);
        for (const step of after) await act(stored, step);
        await assertSame(stored, origin);
        await assertSame(await new Saved(stored, saved).restored(now), origin);
        await assertSame(await saved.restored(now), untouched);
      }),
      { seed: 74, numRuns: 60 },
    );
  });

  it('has files without a name, too', async () => {
    const origin = memoryOverlay(shared);
    const held = (await origin.root.lookup('a'))!;
    await held.write(3, text('xyz'));
    await origin.root.unlink('a');
    const copy = await forked(origin);
    const same = copy.node(held.stat.ino)!;
    await held.write(0, text('!'));
    assert.deepEqual(new Uint8Array(await same.read(0, 7)), text('aaaxyza'));
    assert.equal(same.stat.nlink, 0);
    const free = (await copy.usage()).freeBlocks;
    same.release?.();
    assert.ok((await copy.usage()).freeBlocks > free);
  });

  it('reads stored bytes when they are asked for', async () => {
    const origin = memoryOverlay(shared);
    const node = await origin.root.create('new', file);
    await node.write(0, new Uint8Array(100_000).fill(7));
    const saved = new Saved(origin);
    const copy = await saved.restored();
    assert.equal(saved.reads, 0);
    const same = (await copy.root.lookup('new'))!;
    assert.deepEqual(await same.read(50_000, 2), Uint8Array.of(7, 7));
    assert.equal(saved.reads, 1);
    await same.write(50_000, Uint8Array.of(8));
    assert.deepEqual(await same.read(50_000, 2), Uint8Array.of(8, 7));
    assert.deepEqual(copy.usage(), origin.usage());
  });

  it('takes no lines that no overlay wrote', async () => {
    const origin = memoryOverlay(shared);
    for (const path of [['a'], ['d'], ['d', 'e']]) await find(origin, path);
    const made = await origin.root.create('x', directory);
    await made.create('y', directory);
    await (await made.create('f', file)).write(0, text('hello'));
    await origin.root.unlink('b');
    const { lines } = new Saved(origin);
    const store = { read: () => new Uint8Array(5) };
    const whole = lines.join('\n');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.nat(40),
        fc.constantFrom('', '0', '1', '2', '-1', 'null', '[]', '{}', '"x"', '1e99', '..'),
        async (at, length, by) => {
          const changed = whole.slice(0, at) + by + whole.slice(at + length);
          const copy = memoryOverlay(shared);
          try {
            await copy.restore(readOverlay(changed.split('\n')), store);
          } catch (error) {
            if (error instanceof SyntaxError) return;
            assert.match(String((error as { code?: string }).code), /^VFS_/, `${error}`);
            return;
          }
          for (const step of fc.sample(steps, { seed: at, numRuns: 2 }).flat())
            await act(copy, step);
        },
      ),
      { seed: 104, numRuns: 2000 },
    );
  });

  it('takes nodes that were found before, and is not written as lines where it was saved briefly', async () => {
    const origin = memoryOverlay(shared);
    for (const path of [['a'], ['d', 'e', 'a']]) await find(origin, path);
    const state = origin.save({ brief: true });
    assert.deepEqual(state.nodes, []);
    const found = new Map<string, TreeNode>();
    await memoryOverlay(shared, { found }).restore(structuredClone(state));
    assert.deepEqual([...found.keys()].sort(), ['', 'a', 'd', 'd/e', 'd/e/a']);
    found.set('a', { ...found.get('a')!, stat: { ...found.get('a')!.stat, ino: 4711 } });
    const other = memoryOverlay(shared, { found });
    await assert.rejects(other.restore(state), { code: 'VFS_NOT_FOUND' });
    assert.throws(() => [...writeOverlay(state, (chunk) => chunk as StoredChunk)], {
      code: 'VFS_INVALID',
    });
  });

  it('refuses another lower tree', async () => {
    const origin = memoryOverlay(shared);
    await origin.root.lookup('a');
    await assert.rejects(forked(origin, new MemoryTree()), { code: 'VFS_NOT_FOUND' });
  });
});
