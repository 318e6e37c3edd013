import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import { type ErofsNode, openErofs, writeErofs } from '@anole/erofs';
import { hostTree, unpackTree } from '@anole/host';
import { hasNative } from '@anole/host/native';
import { describeDifferences, MemoryTree } from '@anole/vfs';
import { UnpackFiles } from './unpack-files.ts';
import { UnpackThreads } from './unpack-threads.ts';

const base = mkdtempSync(join(tmpdir(), 'anole-threads-'));
after(() => rmSync(base, { recursive: true, force: true }));

const { uid, gid } = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const attributes = { uid, gid, mtime: { seconds: 1_700_000_000, nanoseconds: 5001 } };
const program = readFileSync(process.execPath).subarray(0, 6_000_000);

async function imageFile(name: string): Promise<string> {
  const tree = new MemoryTree();
  for (let count = 0; count < 700; count++) {
    const path = `some/directory-${count % 7}/file-${count}`;
    tree.putFile(path, program.subarray(count * 1000, count * 1000 + count * 10), attributes);
  }
  // So many that they are more than one job.
  for (let count = 0; count < 1500; count++) {
    tree.putFile(`many/a-name-that-is-not-short-${count}`, new Uint8Array(count % 3), attributes);
  }
  const xattrs = new Map([['user.note', new Uint8Array(3)]]);
  tree.putFile('many/with-attributes', program.subarray(0, 70), { ...attributes, xattrs });
  tree.putFile('large', program, { ...attributes, mode: 0o4755 });
  tree.putFile('not-\udcff-text', program.subarray(0, 100), attributes);
  tree.putFile('linked', program.subarray(0, 5000), attributes);
  tree.putLink('some/other-name', 'linked');
  tree.putSymlink('link', 'some/other-name');
  const image = await writeErofs(tree, { compression: { compressor: 'lz4' } });
  const parts: Uint8Array[] = [];
  for await (const chunk of image) parts.push(new Uint8Array(chunk));
  const file = join(base, name);
  writeFileSync(file, Buffer.concat(parts));
  return file;
}

test('an image unpacked by threads has all that is in it', async () => {
  const file = await imageFile('image');
  const image = await openErofs(memorySource(readFileSync(file)));
  await using threads = new UnpackThreads(file, image);
  const target = join(base, 'target');
  const report = await unpackTree(image, target, { elsewhere: threads });
  assert.ok(report.bytes > 6_000_000);
  assert.equal(report.entries, 2216);
  using seen = hostTree(target);
  const ignore = ['owner', 'mtime', 'xattr'] as const;
  assert.equal(
    await describeDifferences(image, seen, { ignore, filter: (path) => path !== '' }),
    '',
  );
  const times = await describeDifferences(image, seen, {
    ignore: ['owner'],
    ...(!hasNative() && { times: 'microseconds' as const }),
    filter: (path) => path === 'large' || path.endsWith('6'),
  });
  assert.doesNotMatch(times, /file-|large/);
});

test('attributes are set, of files that threads leave', {
  skip: spawnSync('getfattr', ['--version']).error ? 'getfattr is not installed' : false,
}, async () => {
  const file = await imageFile('attributes');
  const image = await openErofs(memorySource(readFileSync(file)));
  await using threads = new UnpackThreads(file, image);
  const target = join(base, 'with-attributes');
  const { skipped } = await unpackTree(image, target, { elsewhere: threads });
  if (skipped.some(({ reason }) => /not supported/.test(reason))) return;
  using seen = hostTree(target, { xattrs: true });
  const ignore = ['owner', 'mtime'] as const;
  const filter = (path: string) => path !== '';
  assert.equal(await describeDifferences(image, seen, { ignore, filter }), '');
});

test('a directory that is listed as a file is refused, and nothing is left', async () => {
  const file = await imageFile('mislabelled');
  const bytes = readFileSync(file);
  const image = await openErofs(memorySource(new Uint8Array(bytes)));
  // Its entry in the root: 12 bytes, of which the type is the eleventh. Names begin behind the entries.
  const { start } = await (image.root as ErofsNode).mapping(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  const names = (await image.root.list()).map(({ name }) => name);
  const sorted = ['.', '..', ...names].sort();
  view.setUint8(sorted.indexOf('many') * 12 + 10, 1);
  writeFileSync(file, bytes);
  const damaged = await openErofs(memorySource(bytes));
  await using threads = new UnpackThreads(file, damaged);
  const before = readdirSync(base).sort();
  await assert.rejects(
    unpackTree(damaged, join(base, 'refused'), { elsewhere: threads }),
    (error) => AnoleError.is(error) && error.code === 'VFS_IS_DIRECTORY',
  );
  assert.deepEqual(readdirSync(base).sort(), before);
});

test('what a thread meets ends the unpacking, and nothing is left', async () => {
  const file = await imageFile('damaged');
  const bytes = readFileSync(file);
  const image = await openErofs(memorySource(new Uint8Array(bytes)));
  const node = await image.root.lookup('large');
  const { start, size } = await node!.mapping(3_000_000);
  bytes.fill(0xff, start + size - 100, start + size);
  writeFileSync(file, bytes);
  await using threads = new UnpackThreads(file, image);
  const before = readdirSync(base).sort();
  await assert.rejects(
    unpackTree(image, join(base, 'failed'), { elsewhere: threads }),
    (error) => AnoleError.is(error) && error.code === 'EROFS_BAD_DATA',
  );
  assert.deepEqual(readdirSync(base).sort(), before);
});

test('a signal is heard between the files that this thread makes itself', async () => {
  const file = await imageFile('heard');
  const image = await openErofs(memorySource(readFileSync(file)));
  const controller = new AbortController();
  const { signal } = controller;
  const done: string[] = [];
  const work = {
    owners: false,
    xattrs: true,
    written: new BigInt64Array(new SharedArrayBuffer(8)),
  };
  const target = mkdtempSync(join(base, 'here-'));
  using files = new UnpackFiles(image, { base: target, ...work }, () => {
    done.push('turn');
    if (done.length === 700) controller.abort(new Error('enough'));
    signal.throwIfAborted();
    return undefined;
  });
  mkdirSync(join(target, 'many'));
  const { nid } = (await image.root.lookup('many'))!;
  const job = { directories: 'many', numbers: Float64Array.of(nid, 0, 1) };
  await assert.rejects(files.run(job), /enough/);
  assert.equal(readdirSync(join(target, 'many')).length, 700);
});

test('a signal ends threads too, and nothing is left', async () => {
  const file = await imageFile('stopped');
  const image = await openErofs(memorySource(readFileSync(file)));
  await using threads = new UnpackThreads(file, image);
  const before = readdirSync(base).sort();
  const controller = new AbortController();
  controller.abort(new Error('enough'));
  const { signal } = controller;
  const goal = join(base, 'aborted');
  await assert.rejects(unpackTree(image, goal, { elsewhere: threads, signal }), /enough/);
  assert.deepEqual(readdirSync(base).sort(), before);
});
