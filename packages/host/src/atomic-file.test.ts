import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createFileAtomically, writeFileAtomically } from './atomic-file.ts';
import { HostError } from './errors.ts';
import { hasNative } from './native/koffi.ts';
import { scratchDirectory, smallDisk } from './scratch.fixture.ts';

test('a file is written with its missing directories, whole and with its mode', async (context) => {
  const path = join(scratchDirectory(context), 'a/b/file');
  await writeFileAtomically(path, 'content', { mode: 0o600, durable: true });
  assert.equal(readFileSync(path, 'utf8'), 'content');
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a file that exists keeps its content until the new one is whole', async (context) => {
  const directory = scratchDirectory(context);
  const path = join(directory, 'file');
  writeFileSync(path, 'old');
  await createFileAtomically(path, async (file) => {
    await file.write('new');
    assert.equal(readFileSync(path, 'utf8'), 'old');
  });
  assert.equal(readFileSync(path, 'utf8'), 'new');
  assert.deepEqual(readdirSync(directory), ['file']);
});

const named = hasNative() ? false : 'without koffi, files have a name while they are written';

test('a file that is being written has no name', { skip: named }, async (context) => {
  const directory = scratchDirectory(context);
  const path = join(directory, 'file');
  const seen: string[][] = [];
  const fill = async function* () {
    yield Buffer.from('con');
    seen.push(readdirSync(directory));
    yield Buffer.from('tent');
  };
  await writeFileAtomically(path, fill(), { mode: 0o640 });
  assert.deepEqual(seen, [[]]);
  assert.equal(readFileSync(path, 'utf8'), 'content');
  assert.equal(statSync(path).mode & 0o777, 0o640);
  assert.deepEqual(readdirSync(directory), ['file']);
});

test('a failure takes the directories away that were made for the file', async (context) => {
  const directory = scratchDirectory(context);
  const broken = createFileAtomically(join(directory, 'a/b/file'), async () => {
    throw new Error('no more');
  });
  await assert.rejects(broken, /no more/);
  assert.deepEqual(readdirSync(directory), []);
});

test('a failure or an abort while writing leaves nothing behind', async (context) => {
  const directory = scratchDirectory(context);
  const path = join(directory, 'file');
  const failure = new Error('no more');
  const broken = createFileAtomically(path, async (file) => {
    await file.write('half');
    throw failure;
  });
  await assert.rejects(broken, failure);
  const abort = new AbortController();
  const aborted = createFileAtomically(path, async () => abort.abort(), { signal: abort.signal });
  await assert.rejects(aborted, { name: 'AbortError' });
  assert.deepEqual(readdirSync(directory), []);
});

test('what is no file is not replaced by one, nor is a link to it', async (context) => {
  const directory = scratchDirectory(context);
  const pipe = join(directory, 'pipe');
  const link = join(directory, 'link');
  execFileSync('mkfifo', [pipe]);
  symlinkSync('pipe', link);
  for (const path of [pipe, link, directory]) {
    await assert.rejects(writeFileAtomically(path, 'content'), { code: 'HOST_NOT_FILE' });
  }
  assert.ok(statSync(link).isFIFO());
  assert.deepEqual(readdirSync(directory), ['link', 'pipe']);
});

test('a full disk is a coded error, and the file is not there', async (context) => {
  const disk = smallDisk(context, 64);
  if (disk === undefined) return context.skip('mounting a small tmpfs needs root');
  const path = join(disk, 'file');
  await assert.rejects(writeFileAtomically(path, new Uint8Array(1 << 20)), {
    code: 'HOST_NO_SPACE',
  });
  assert.deepEqual(readdirSync(disk), []);
});

test('a directory that cannot be written to is a coded error', async () => {
  await assert.rejects(writeFileAtomically('/proc/anole/file', ''), (error: unknown) => {
    return error instanceof HostError && /^Cannot write \/proc\/anole\/file: /.test(error.message);
  });
});
