import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isPromise, memorySource } from '@anole/bytes';
import { type ErofsNode, type ErofsTree, openErofs, writeErofs } from '@anole/erofs';
import { HostError } from '@anole/host';
import { FuseBackings, hasNative } from '@anole/host/native';
import { findNode, MemoryTree, type TreeNode } from '@anole/vfs';
import type { OnDemandImage } from '../on-demand/image.ts';
import { OpenFiles } from './open-files.ts';
import { PassedFiles } from './passed-files.ts';
import { SpareTime } from './spare-time.ts';
import { WholeFiles } from './whole-files.ts';

const SIZE = 200 * 1024;
/** Files that a table notes at once. */
const SLOTS = 4096;

/** Gives numbers as the kernel does, and says which it has. */
class Numbers extends FuseBackings {
  readonly held = new Set<number>();
  /** Name of the system's error that it raises. */
  failing: string | undefined;
  #last = 0;

  override open(): number {
    const { failing } = this;
    if (failing) throw new HostError('HOST_IO', failing, { details: { system: failing } });
    this.held.add(++this.#last);
    return this.#last;
  }

  override close(id: number): void {
    assert.ok(this.held.delete(id), 'it has that number');
  }
}

/** An image of two large files, all of which is here. */
async function madeImage(): Promise<OnDemandImage> {
  const tree = new MemoryTree();
  for (const name of ['one', 'other']) tree.putFile(name, randomBytes(SIZE));
  const written = await writeErofs(tree, { time: { seconds: 0, nanoseconds: 0 } });
  const pieces = await Array.fromAsync(written, (piece) => piece.slice());
  const image = memorySource(new Uint8Array(Buffer.concat(pieces)));
  const blobs = [{ has: () => true }];
  return { digest: 'sha256:1', tree: await openErofs(image), blobs } as unknown as OnDemandImage;
}

const nodeAt = async ({ tree }: { tree: ErofsTree }, name: string) =>
  (await findNode(tree, name)) as ErofsNode;

function temporary(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'anole-passed-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A mount of an image, in a process of its own unless others share `spare`. */
function mounted(test: TestContext, image: OnDemandImage, directory: string, shared = {}) {
  const { spare = new SpareTime(), open = OpenFiles.make() }: Shared = shared;
  const numbers = new Numbers();
  const passing = { files: new WholeFiles(directory), spare };
  const passed = new PassedFiles(image, passing, open, numbers);
  test.after(async () => {
    await passed.stop();
    passed[Symbol.dispose]();
  });
  return { passed, numbers, spare };
}

interface Shared {
  readonly spare?: SpareTime;
  readonly open?: OpenFiles;
}

/** Opens and closes a file until it is passed, which takes some spare time. */
async function pass({ passed, spare }: ReturnType<typeof mounted>, node: TreeNode): Promise<void> {
  for (let turn = 0; turn < 4; turn++) {
    const id = await passed.open(node);
    passed.close(node, id!, false);
    if (id !== 0) return;
    // What it has given for spare time is done before this.
    await spare.do(async () => {}, new AbortController().signal);
  }
  assert.fail(`it is not passed: ${passed.failure}`);
}

/** Spare time that something else has for itself, until it is let go. */
function taken(test: TestContext): SpareTime {
  const spare = new SpareTime();
  const { promise, resolve } = Promise.withResolvers<void>();
  void spare.do(() => promise, new AbortController().signal);
  test.after(() => resolve());
  return spare;
}

describe('files that are passed', { skip: hasNative() ? false : 'needs koffi' }, () => {
  it('are none while one more is open than can be noted', async (test) => {
    const image = await madeImage();
    const mount = mounted(test, image, temporary(test));
    const { passed, numbers } = mount;
    const node = await nodeAt(image, 'one');
    await pass(mount, node);
    const others = Array.from({ length: SLOTS }, (_, at) => ({
      stat: { ino: 1000 + at, size: SIZE },
    }));
    for (const other of others) assert.equal(await passed.open(other as TreeNode), 0);
    assert.equal(await passed.open(node), 0);
    assert.equal(await passed.open(node), 0, 'as whoever has it');
    assert.equal(numbers.held.size, 0);
    assert.match(passed.why!, /too many/);
    for (const other of others) passed.close(other as TreeNode, 0, false);
    assert.equal(await passed.open(node), 0, 'nobody knows that it is this one that is open');
    for (let opens = 0; opens < 3; opens++) passed.close(node, 0, false);
    assert.equal(passed.why, undefined);
    const id = (await passed.open(node))!;
    assert.deepEqual([...numbers.held], [id]);
    passed.close(node, id, false);
    assert.equal(numbers.held.size, 0);
  });

  it('make nobody wait who unmounts another image', async (test) => {
    const image = await madeImage();
    const { passed } = mounted(test, image, temporary(test), { spare: taken(test) });
    const node = await nodeAt(image, 'one');
    for (let opens = 0; opens < 2; opens++) assert.equal(await passed.open(node), 0);
    await passed.stop();
    assert.equal(passed.failures, 0);
  });

  it('are not waited for by who opens one that is proven in spare time', async (test) => {
    const image = await madeImage();
    const directory = temporary(test);
    const node = await nodeAt(image, 'one');
    await pass(mounted(test, image, directory), node);
    // A service after one that was killed: somebody has the file open.
    const open = OpenFiles.make();
    open.opened(node.stat.ino, 0);
    const { passed } = mounted(test, image, directory, { spare: taken(test), open });
    await passed.try();
    assert.equal(await passed.open(node), 0);
    for (let opens = 0; opens < 2; opens++) passed.close(node, 0, false);
    const id = passed.open(node);
    assert.equal(isPromise(id), false);
    assert.equal(id, 0);
  });

  it('stay when the mount ends while they are proven', async (test) => {
    const image = await madeImage();
    const directory = temporary(test);
    const node = await nodeAt(image, 'one');
    await pass(mounted(test, image, directory), node);
    const { passed } = mounted(test, image, directory);
    await passed.try();
    const opening = passed.open(node);
    await passed.stop();
    assert.equal(await opening, 0);
    assert.equal(readdirSync(join(directory, 'content')).length, 1);
  });

  it('are shared by processes that make them at once', async (test) => {
    const image = await madeImage();
    const directory = temporary(test);
    const all = [mounted(test, image, directory), mounted(test, image, directory)];
    for (const name of ['one', 'other']) {
      const node = await nodeAt(image, name);
      await Promise.all(all.map((each) => pass(each, node)));
    }
    assert.equal(readdirSync(join(directory, 'content')).length, 2);
    for (const { passed } of all) assert.equal(passed.failures, 0, passed.failure);
  });

  it('are none for ever where the kernel refuses, and later where something is short', async (test) => {
    const image = await madeImage();
    const node = await nodeAt(image, 'one');
    const refused = mounted(test, image, temporary(test));
    refused.numbers.failing = 'ELOOP';
    assert.equal(await refused.passed.open(node), undefined);
    refused.numbers.failing = undefined;
    assert.equal(await refused.passed.open(node), undefined);
    const short = mounted(test, image, temporary(test));
    short.numbers.failing = 'EMFILE';
    assert.equal(await short.passed.open(node), 0);
    assert.match(short.passed.why!, /EMFILE/);
    short.passed.close(node, 0, false);
    short.numbers.failing = undefined;
    const now = performance.now();
    test.mock.method(performance, 'now', () => now + 60_000);
    await short.passed.try();
    test.mock.restoreAll();
    assert.equal(short.passed.why, undefined);
    await pass(short, node);
  });
});
