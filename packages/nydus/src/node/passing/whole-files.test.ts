import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { threadId } from 'node:worker_threads';
import { WholeFiles } from './whole-files.ts';

const SIZE = 64 * 1024;

function temporary(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'anole-whole-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const contentOf = (key: number) => new Uint8Array(SIZE).fill(key);
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function* pieces(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
}

const whole = (key: number) => pieces(contentOf(key));
const contentsIn = (directory: string) => readdirSync(join(directory, 'content')).toSorted();
const hashes = (...keys: readonly number[]) => keys.map((key) => hashOf(contentOf(key))).toSorted();

/** Makes a file one that was opened last at a time, in seconds. */
function usedAt(directory: string, key: number, seconds: number): void {
  const path = join(directory, 'used', hashOf(contentOf(key)));
  mkdirSync(join(directory, 'used'), { recursive: true });
  writeFileSync(path, '');
  utimesSync(path, seconds, seconds);
}

function bytesOf(fd: number | undefined): Uint8Array | undefined {
  if (fd === undefined) return undefined;
  const bytes = readFileSync(`/proc/self/fd/${fd}`);
  closeSync(fd);
  return new Uint8Array(bytes);
}

describe('whole files of images', () => {
  it('are one where images have the same, and are proven by each process', async (test) => {
    const directory = temporary(test);
    const files = new WholeFiles(directory);
    const [one, other] = [files.ofImage('sha256:1'), files.ofImage('sha256:2')];
    assert.equal(one.state(5), 'none');
    assert.equal(await one.make(5, SIZE, whole(1)), true);
    assert.equal(await other.make(7, SIZE, whole(1)), true);
    assert.equal(await other.make(8, SIZE, whole(2)), true);
    assert.deepEqual(contentsIn(directory), hashes(1, 2));
    assert.deepEqual(bytesOf(one.open(5, SIZE)), contentOf(1));
    assert.equal(one.open(5, SIZE + 1), undefined);
    const next = new WholeFiles(directory).ofImage('sha256:2');
    assert.equal(next.state(7), 'unproven');
    assert.equal(next.open(7, SIZE), undefined);
    await next.prove(7, SIZE);
    assert.deepEqual(bytesOf(next.open(7, SIZE)), contentOf(1));
    writeFileSync(join(directory, 'content', hashOf(contentOf(2))), contentOf(3));
    await next.prove(8, SIZE);
    assert.equal(next.state(8), 'none');
    assert.deepEqual(contentsIn(directory), hashes(1));
    assert.equal(await next.make(8, SIZE, whole(2)), true);
    assert.deepEqual(bytesOf(next.open(8, SIZE)), contentOf(2));
  });

  it('are proven anew once somebody changed them, though they are as long as before', async (test) => {
    const directory = temporary(test);
    const image = new WholeFiles(directory).ofImage('sha256:1');
    await image.make(1, SIZE, whole(1));
    assert.deepEqual(bytesOf(image.open(1, SIZE)), contentOf(1));
    const path = join(directory, 'content', hashOf(contentOf(1)));
    const { atime, mtime } = statSync(path);
    writeFileSync(path, contentOf(2), { flag: 'r+' });
    utimesSync(path, atime, mtime);
    assert.equal(image.open(1, SIZE), undefined);
    assert.equal(image.state(1), 'unproven');
    await image.prove(1, SIZE);
    assert.equal(image.state(1), 'none');
    assert.equal(await image.make(1, SIZE, whole(1)), true);
    assert.deepEqual(bytesOf(image.open(1, SIZE)), contentOf(1));
  });

  it('make room, the longest unused first, and stay with who has them', async (test) => {
    const directory = temporary(test);
    const files = new WholeFiles(directory, 3 * SIZE);
    const image = files.ofImage('sha256:1');
    for (const key of [1, 2, 3]) {
      assert.equal(await image.make(key, SIZE, whole(key)), true);
      usedAt(directory, key, key);
    }
    const held = image.open(1, SIZE);
    const second = image.open(2, SIZE);
    usedAt(directory, 1, 1);
    assert.equal(await image.make(4, SIZE, whole(4)), true);
    assert.deepEqual(contentsIn(directory), hashes(2, 3, 4));
    assert.equal(await image.make(5, SIZE, whole(5)), true);
    assert.deepEqual(contentsIn(directory), hashes(2, 4, 5), 'opening is using');
    assert.deepEqual(bytesOf(held), contentOf(1));
    assert.deepEqual(bytesOf(second), contentOf(2));
    assert.equal(image.open(1, SIZE), undefined);
    assert.equal(await image.make(6, 2 * SIZE, whole(6)), false, 'one takes half at most');
  });

  it('leave nothing of what was not made', async (test) => {
    const directory = temporary(test);
    const files = new WholeFiles(directory);
    const image = files.ofImage('sha256:1');
    await assert.rejects(image.make(1, SIZE + 1, whole(1)), { code: 'HOST_WRONG_CONTENT' });
    const broken = async function* () {
      yield contentOf(1).subarray(0, 100);
      throw new Error('the registry is away');
    };
    await assert.rejects(image.make(1, SIZE, broken()), /away/);
    assert.equal(image.state(1), 'none');
    assert.deepEqual(readdirSync(directory), ['content']);
    assert.deepEqual(contentsIn(directory), []);
  });

  it('stay where nobody found out what they have', async (test) => {
    const directory = temporary(test);
    await new WholeFiles(directory).ofImage('sha256:1').make(1, SIZE, whole(1));
    const image = new WholeFiles(directory).ofImage('sha256:1');
    const end = async () => {
      throw new Error('the mount has ended');
    };
    await assert.rejects(image.prove(1, SIZE, end), /ended/);
    assert.deepEqual(contentsIn(directory), hashes(1));
    assert.equal(image.state(1), 'unproven');
    await image.prove(1, SIZE);
    assert.deepEqual(bytesOf(image.open(1, SIZE)), contentOf(1));
  });

  it('are made beside what others make, and what they left', async (test) => {
    const directory = temporary(test);
    const left = `making-${process.pid}-${threadId}-0`;
    writeFileSync(join(directory, left), 'half');
    const [one, other] = [new WholeFiles(directory), new WholeFiles(directory)];
    await one.tryOne(() => {});
    const started = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const held = async function* () {
      yield contentOf(1).subarray(0, 100);
      started.resolve();
      await released.promise;
      yield contentOf(1).subarray(100);
    };
    const image = one.ofImage('sha256:1');
    const making = image.make(1, SIZE, held());
    await started.promise;
    assert.equal(await other.ofImage('sha256:1').make(2, SIZE, whole(2)), true);
    assert.equal(await other.ofImage('sha256:2').make(1, SIZE, whole(1)), true);
    released.resolve();
    assert.equal(await making, true);
    assert.deepEqual(contentsIn(directory), hashes(1, 2));
    assert.deepEqual(bytesOf(image.open(1, SIZE)), contentOf(1));
    assert.deepEqual(readdirSync(directory).toSorted(), ['content', 'images', left, 'used']);
  });

  it('are made again once what was in the way is gone', async (test) => {
    const directory = temporary(test);
    const image = new WholeFiles(directory).ofImage('sha256:1');
    mkdirSync(join(directory, 'images'));
    writeFileSync(join(directory, 'images', 'no directory'), '');
    await assert.rejects(image.make(1, SIZE, whole(1)), { code: 'ENOTDIR' });
    rmSync(join(directory, 'images', 'no directory'));
    assert.equal(await image.make(1, SIZE, whole(1)), true);
  });

  it('are removed on demand', async (test) => {
    const directory = temporary(test);
    const files = new WholeFiles(directory);
    assert.equal(await files.bytes(), 0);
    const image = files.ofImage('sha256:1');
    for (const key of [1, 2, 3]) {
      await image.make(key, SIZE, whole(key));
      usedAt(directory, key, key);
    }
    assert.equal(await files.bytes(), 3 * SIZE);
    assert.equal(await files.evict(2 * SIZE), SIZE);
    assert.deepEqual(contentsIn(directory), hashes(2, 3));
    assert.equal(image.open(1, SIZE), undefined);
    assert.equal(await files.evict(0), 2 * SIZE);
    assert.deepEqual(contentsIn(directory), []);
  });

  it('are tidied by the next process: what was being made, and names of what is gone', async (test) => {
    const directory = temporary(test);
    const files = new WholeFiles(directory);
    await files.ofImage('sha256:1').make(1, SIZE, whole(1));
    await files.ofImage('sha256:2').make(2, SIZE, whole(2));
    rmSync(join(directory, 'content', hashOf(contentOf(2))));
    const before = Date.now() / 1000 - 2 * 3600;
    writeFileSync(join(directory, 'making-left'), 'half');
    utimesSync(join(directory, 'making-left'), before, before);
    writeFileSync(join(directory, 'making-now'), 'still being made');
    mkdirSync(join(directory, 'images', 'empty'));
    await new WholeFiles(directory).ofImage('sha256:3').make(3, SIZE, whole(3));
    assert.deepEqual(readdirSync(directory).toSorted(), [
      'content',
      'images',
      'making-now',
      'used',
    ]);
    assert.equal(readdirSync(join(directory, 'images')).length, 2);
  });

  it('of versions before are dropped, also by whom they are used, and nothing else is', async (test) => {
    const cache = temporary(test);
    // As a program of before has it, which runs yet.
    const former = new WholeFiles(join(cache, 'whole'));
    const image = former.ofImage('sha256:1');
    await image.make(1, SIZE, whole(1));
    const held = image.open(1, SIZE);
    const own = WholeFiles.of(cache);
    assert.equal(own.ofImage('sha256:1').state(1), 'none', 'nothing is taken over');
    await own.ofImage('sha256:1').make(1, SIZE, whole(2));
    for (const name of ['blobs', 'whole-1', 'whole-99', 'wholesale', 'whole-'])
      mkdirSync(join(cache, name));
    await WholeFiles.dropFormer(cache);
    const left = ['blobs', basename(own.directory), 'whole-', 'whole-99', 'wholesale'];
    assert.deepEqual(readdirSync(cache).toSorted(), left.toSorted());
    assert.deepEqual(bytesOf(own.ofImage('sha256:1').open(1, SIZE)), contentOf(2));
    assert.deepEqual(bytesOf(held), contentOf(1), 'who has one keeps it');
    assert.equal(image.open(1, SIZE), undefined);
    assert.equal(await image.make(1, SIZE, whole(1)), true, 'and makes it again');
    await WholeFiles.dropFormer(join(cache, 'nothing'));
  });
});
