import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Crew, hostTree, writeAt } from '@anole/host';
import { hasNative } from '@anole/host/native';
import { MemoryTree } from '@anole/vfs';
import { writeErofsFile } from './erofs-file.ts';
import { OldFile } from './old-file.ts';

const base = mkdtempSync(join(tmpdir(), 'anole-erofs-file-'));
const offset = 1_000_000;
after(() => rmSync(base, { recursive: true, force: true }));

function tree(): MemoryTree {
  const all = new MemoryTree();
  all.putFile('file', Buffer.from('content'));
  return all;
}

test('a disk that an image is put into keeps its owner and permissions, and the link to it', async () => {
  const disk = join(base, 'disk');
  const link = join(base, 'link');
  writeFileSync(disk, 'boot');
  symlinkSync('disk', link);
  // Only root gives files away.
  if (process.getuid?.() === 0) chownSync(disk, 1234, 2345);
  chmodSync(disk, 0o640);
  const { uid, gid } = statSync(disk);
  const { size } = await writeErofsFile(link, tree(), {}, { offset });
  assert.ok(lstatSync(link).isSymbolicLink());
  const now = lstatSync(disk);
  assert.deepEqual([now.uid, now.gid, now.mode & 0o7777], [uid, gid, 0o640]);
  assert.equal(now.size, offset + size);
  assert.equal(readFileSync(disk).toString('latin1', 0, 5), 'boot\0');
});

test('an image is put into no pipe or device, which stays', async () => {
  const pipe = join(base, 'pipe');
  execFileSync('mkfifo', [pipe]);
  for (const place of [{}, { offset }]) {
    await assert.rejects(writeErofsFile(pipe, tree(), {}, place), { code: 'HOST_NOT_FILE' });
  }
  assert.ok(lstatSync(pipe).isFIFO());
});

test('holes of a disk that an image is put into are not read, and stay', {
  skip: hasNative() ? false : 'koffi is not installed for this platform',
}, async () => {
  const disk = join(base, 'sparse');
  const last = 2 ** 40;
  writeFileSync(disk, '');
  truncateSync(disk, last);
  const fd = openSync(disk, 'r+');
  const mark = Buffer.from('far away');
  writeAt(fd, last / 2 + 1, mark);
  closeSync(fd);
  await writeErofsFile(disk, tree(), {}, { offset });
  const { size, blocks } = statSync(disk);
  assert.equal(size, last);
  assert.ok(blocks * 512 < 2 ** 20, `${blocks} blocks`);
  const copy = openSync(disk, 'r');
  const bytes = Buffer.alloc(mark.length + 2);
  readSync(copy, bytes, 0, bytes.length, last / 2);
  closeSync(copy);
  assert.equal(bytes.toString('latin1'), `\0${mark}\0`);
});

test('copying what a disk holds stops when it is told to', async () => {
  const disk = join(base, 'full');
  writeFileSync(disk, Buffer.alloc(64 * 2 ** 20, 'data'));
  const to = join(base, 'copy');
  const fd = openSync(to, 'w');
  const abort = new AbortController();
  setImmediate(() => abort.abort());
  const old = (await OldFile.at(disk))!;
  const copying = old.copyAround(fd, offset, offset + 4096, abort.signal);
  await assert.rejects(copying, { name: 'AbortError' });
  closeSync(fd);
  assert.ok(statSync(to).size < statSync(disk).size);
  assert.deepEqual(
    readdirSync(base).filter((name) => name.startsWith('.')),
    [],
  );
});

test('threads that write to the file by its number end before that is given back', async ({
  mock,
}) => {
  const source = join(base, 'many');
  mkdirSync(source);
  const content = Buffer.alloc(16 * 1024 * 1024, 'some');
  for (let count = 0; count < 5; count++) writeFileSync(join(source, `file-${count}`), content);
  using tree = hostTree(source);
  const target = mkdtempSync(join(base, 'target-'));
  const isOpen = () =>
    readdirSync('/proc/self/fd').some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${target}/`);
      } catch {
        return false;
      }
    });
  const atStop: boolean[] = [];
  const { stop } = Crew.prototype;
  mock.method(Crew.prototype, 'stop', function (this: Crew<unknown, unknown>) {
    atStop.push(isOpen());
    return stop.call(this);
  });
  const onProgress = ({ step, done }: { readonly step: string; readonly done: number }) => {
    if (step === 'write image' && done > 40_000_000) throw new Error('enough');
  };
  await assert.rejects(writeErofsFile(join(target, 'image'), tree, { onProgress }), /enough/);
  assert.equal(atStop[0], true);
  assert.equal(isOpen(), false);
});
