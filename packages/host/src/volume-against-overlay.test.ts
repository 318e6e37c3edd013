import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { AnoleError } from '@anole/bytes';
import {
  describeDifferences,
  findNode,
  memoryOverlay,
  type Tree,
  type WritableNode,
  type WritableTree,
  walk,
} from '@anole/vfs';
import fc from 'fast-check';
import { hostTree, hostVolume } from './index.ts';
import { scratchDirectory } from './scratch.fixture.ts';

/** One change, in terms of names that may or may not be there. */
interface Step {
  readonly what: (typeof kinds)[number];
  /** Directories are `''` (the root), `d`, `d/e` and what has come to be called so. */
  readonly directory: string;
  readonly name: string;
  readonly otherDirectory: string;
  readonly otherName: string;
  readonly offset: number;
  readonly length: number;
  readonly flag: boolean;
}

const kinds = [
  'create',
  'mkdir',
  'symlink',
  'link',
  'unlink',
  'rmdir',
  'rename',
  'rename',
  'write',
  'write',
  'truncate',
  'chmod',
  'hold',
  'write held',
  'read held',
] as const;

const directories = fc.constantFrom('', 'd', 'd', 'd/e', 'a', 'b');
const names = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'big');
const steps: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(...kinds),
  directory: directories,
  name: names,
  otherDirectory: directories,
  otherName: names,
  offset: fc.oneof(fc.nat(200), fc.nat(100_000)),
  length: fc.oneof(fc.nat(50), fc.nat(40_000)),
  flag: fc.boolean(),
});

/** Does a step and says how it ended. */
async function take(tree: WritableTree, held: WritableNode[], step: Step): Promise<unknown> {
  try {
    return (await change(tree, held, step)) ?? 'done';
  } catch (error) {
    if (!AnoleError.is(error)) throw error;
    return error.code;
  }
}

async function change(tree: WritableTree, held: WritableNode[], step: Step): Promise<unknown> {
  const { name, otherName, offset, length, flag } = step;
  const owner = { uid: process.geteuid!(), gid: process.getegid!() };
  const file = { ...owner, type: 'file', mode: 0o644 } as const;
  const parent = await at(tree, step.directory);
  const bytes = new Uint8Array(length).fill((offset % 255) + 1);
  switch (step.what) {
    case 'create':
      return void (await parent.create(name, file));
    case 'mkdir':
      return void (await parent.create(name, { ...file, type: 'directory', mode: 0o755 }));
    case 'symlink':
      return void (await parent.create(name, { ...file, type: 'symlink', target: otherName }));
    case 'link':
      return parent.link(name, await at(tree, join(step.otherDirectory, otherName)));
    case 'unlink':
      return parent.unlink(name);
    case 'rmdir':
      return parent.removeDirectory(name);
    case 'rename': {
      const to = await at(tree, step.otherDirectory);
      return parent.rename(name, to, otherName, { noReplace: flag && offset % 3 === 0 });
    }
    case 'write':
      return (await at(tree, join(step.directory, name))).write(offset, bytes);
    case 'truncate':
      return (await at(tree, join(step.directory, name))).change({ size: offset });
    case 'chmod':
      return (await at(tree, join(step.directory, name))).change({ mode: 0o600 + (offset % 64) });
    case 'hold':
      held.push(await at(tree, join(step.directory, name)));
      return undefined;
    default: {
      const node = held[offset % Math.max(1, held.length)];
      if (node === undefined) return undefined;
      if (step.what === 'write held') return node.write(offset, bytes);
      return Buffer.from(await node.read(offset, length)).toString('latin1');
    }
  }
}

async function at(tree: Tree, path: string): Promise<WritableNode> {
  const node = await findNode(tree, path, { followSymlinks: false });
  if (node === undefined) throw new AnoleError('NOT_THERE', `Cannot find ${path}`);
  return node as WritableNode;
}

/** What the comparer leaves out: how many names a file has, counting those outside of the tree. */
async function linkCounts(tree: Tree): Promise<string[]> {
  const counts: string[] = [];
  for await (const { path, node } of walk(tree)) {
    counts.push(`${path}: ${node.stat.type === 'file' ? node.stat.size : ''} ${node.stat.nlink}`);
  }
  return counts.sort();
}

function lowerDirectory(context: TestContext): string {
  const lower = scratchDirectory(context);
  mkdirSync(join(lower, 'd/e'), { recursive: true });
  writeFileSync(join(lower, 'big'), Buffer.alloc(70_000, 'lower '));
  writeFileSync(join(lower, 'd/a'), 'small');
  writeFileSync(join(lower, 'd/e/c'), 'deep');
  return lower;
}

describe('memoryOverlay and hostVolume', () => {
  it('make of the same changes the same tree, as the kernel does', async (context) => {
    const lower = lowerDirectory(context);
    using tree = hostTree(lower);
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 60 }), async (all) => {
        const copy = scratchDirectory(context);
        cpSync(lower, copy, { recursive: true });
        using volume = hostVolume(copy);
        const overlay = memoryOverlay({ root: tree.root });
        const heldHere: WritableNode[] = [];
        const heldThere: WritableNode[] = [];
        for (const step of all) {
          const here = await take(overlay, heldHere, step);
          const there = await take(volume, heldThere, step);
          assert.equal(here, there, JSON.stringify(step));
        }
        assert.deepEqual(await linkCounts(overlay), await linkCounts(volume));
        const options = { ignore: ['mtime'] } as const;
        assert.equal(await describeDifferences(overlay, volume, options), '');
      }),
      { numRuns: 150, seed: 20261123 },
    );
  });
});
