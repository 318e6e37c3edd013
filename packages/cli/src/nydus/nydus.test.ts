import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-nydus-'));
const at = (name: string) => join(base, name);
const blobs = at('blobs');

function anole(...args: string[]) {
  const argv = ['-C', 'anole-source', main, ...args];
  return spawnSync(process.execPath, argv, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
}

function json(...args: string[]) {
  const { status, stdout, stderr } = anole(...args, '--json');
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

before(() => {
  mkdirSync(at('lower/usr/bin'), { recursive: true });
  writeFileSync(at('lower/usr/bin/tool'), Buffer.alloc(3_000_000, 'anole chunks images '));
  writeFileSync(at('lower/gone'), readFileSync(process.execPath).subarray(0, 200_000));
  mkdirSync(at('upper/usr'), { recursive: true });
  writeFileSync(at('upper/.wh.gone'), '');
  writeFileSync(at('upper/usr/motd'), 'hello\n');
  json('nydus', 'create', at('lower'), '-B', at('lower.boot'), '-D', blobs, '--no-xattrs');
  json('nydus', 'create', at('upper'), '-B', at('upper.boot'), '-D', blobs, '--no-xattrs');
  json('nydus', 'merge', at('lower.boot'), at('upper.boot'), '-B', at('merged.boot'));
});
after(() => rmSync(base, { recursive: true, force: true }));

test('nydus create makes what nydus check finds sound, and fs diff the same', () => {
  const { errors, warnings, files, verified } = json('nydus', 'check', at('lower.boot'));
  assert.deepEqual({ errors, warnings, files }, { errors: 0, warnings: 0, files: 2 });
  assert.ok(verified >= 1_000_000);
  const { status, stdout } = anole('fs', 'diff', at('lower.boot'), at('lower'));
  assert.equal(status, 0, stdout);
});

test('nydus merge applies whiteouts, and fs reads the result', () => {
  assert.equal(anole('fs', 'ls', '-R', at('merged.boot')).stdout.includes('gone'), false);
  assert.equal(anole('fs', 'cat', at('merged.boot'), '/usr/motd').stdout, 'hello\n');
  assert.equal(json('nydus', 'inspect', at('merged.boot')).blobs.length, 2);
  assert.equal(json('fs', 'check', at('merged.boot')).warnings, 0);
});

test('nydus check says which chunk is damaged', () => {
  const { blobs: table } = json('nydus', 'inspect', at('lower.boot'));
  const directory = at('damaged');
  mkdirSync(directory);
  const bytes = readFileSync(join(blobs, table[0].id));
  bytes[100] = bytes[100]! ^ 1;
  writeFileSync(join(directory, table[0].id), bytes);
  const { status, stdout } = anole('nydus', 'check', at('lower.boot'), '-D', directory);
  assert.equal(status, 1);
  assert.match(stdout, /Cannot read chunk \d+ of .* \(RAFS_WRONG_CONTENT\)/);
  assert.match(stdout, /RAFS_OTHER_NAME/);
});

test('nydus stat and inspect tell what is shared, and where a file lies', () => {
  const [lower, , together] = json('nydus', 'stat', at('lower.boot'), at('merged.boot'));
  assert.equal(lower.size, 3_200_000);
  assert.equal(together.chunks, lower.chunks + 1);
  const { chunks } = json('nydus', 'inspect', at('lower.boot'), '/usr/bin/tool');
  assert.deepEqual(
    chunks.map(({ fileOffset }: { fileOffset: number }) => fileOffset),
    [0, 1048576, 2097152],
  );
});

test('nydus unpack gives a tar archive of the same files', () => {
  assert.equal(anole('nydus', 'unpack', at('lower.boot'), '-o', at('lower.tar')).status, 0);
  assert.equal(anole('fs', 'diff', at('lower.tar'), at('lower.boot')).status, 0);
});

test('nydus compact leaves what is used', () => {
  const args = ['-D', blobs, '-B', at('compact.boot'), '--min-used-ratio', '101'];
  const made = json('nydus', 'compact', at('merged.boot'), ...args);
  assert.deepEqual(made.blobs, [made.blob.id]);
  assert.equal(json('nydus', 'check', at('compact.boot')).errors, 0);
  assert.equal(anole('fs', 'diff', at('compact.boot'), at('merged.boot')).status, 0);
});

test('a blob that holds its bootstrap is an image to fs diff, and a layer to merge', () => {
  const directory = at('whole');
  json('nydus', 'create', at('lower'), '-D', directory, '--blob-inline-meta', '--no-xattrs');
  const blob = join(directory, readdirSync(directory)[0]!);
  assert.equal(anole('fs', 'diff', blob, at('lower')).status, 0);
  json('nydus', 'merge', blob, '-B', join(directory, 'boot'), '-D', directory);
  assert.equal(json('nydus', 'check', join(directory, 'boot')).errors, 0);
  assert.equal(anole('fs', 'diff', join(directory, 'boot'), at('lower')).status, 0);
});

test('an image of type targz-ref has its data in the archive, which is a blob as it is', () => {
  const archive = at('layer.tar.gz');
  const tar = spawnSync('tar', ['-czf', archive, '-C', at('lower'), '.']);
  assert.equal(tar.status, 0, tar.stderr.toString());
  const directory = at('referred');
  const create = ['nydus', 'create', archive, '-t', 'targz-ref', '-D', directory];
  const { layer, blob, blobs: used } = json(...create, '-B', at('referred.boot'));
  const bytes = readFileSync(archive);
  assert.equal(layer.id, createHash('sha256').update(bytes).digest('hex'));
  assert.deepEqual([blob, used], [undefined, [layer.id]]);
  assert.deepEqual(readdirSync(directory), [layer.tables.id]);
  const check = ['nydus', 'check', at('referred.boot'), '-D', directory];
  assert.equal(anole(...check).status, 1, 'the archive is missing');
  writeFileSync(join(directory, layer.id), bytes);
  assert.equal(json(...check).errors, 0);
  assert.equal(
    anole('nydus', 'unpack', at('referred.boot'), '-D', directory, '-o', at('out.tar')).status,
    0,
  );
  assert.equal(anole('fs', 'diff', at('out.tar'), archive).status, 0);
  assert.equal(anole(...create.with(4, 'tar-tarfs'), '-B', at('none')).status, 2);
  assert.equal(anole(...create, '-E', '-B', at('none')).status, 2);
});

test('nydus create puts a directory over a parent, and stores what is new', () => {
  mkdirSync(at('over/usr/bin'), { recursive: true });
  writeFileSync(at('over/usr/bin/copy'), readFileSync(at('lower/usr/bin/tool')));
  writeFileSync(at('over/usr/note'), 'new\n');
  writeFileSync(at('over/.wh.gone'), '');
  const create = ['nydus', 'create', at('over'), '-D', blobs, '--no-xattrs'];
  const parent = ['--parent-bootstrap', at('lower.boot')];
  const made = json(...create, '-B', at('over.boot'), ...parent);
  assert.equal(made.blob.chunks, 1);
  assert.equal(made.blobs.length, 2);
  assert.equal(json('nydus', 'check', at('over.boot'), '-D', blobs).errors, 0);
  assert.equal(anole('fs', 'ls', '-R', at('over.boot')).stdout.includes('gone'), false);
  assert.equal(anole('fs', 'cat', at('over.boot'), '/usr/note').stdout, 'new\n');
  const kept = json(...create, '-B', at('kept.boot'), ...parent, '--whiteout-spec', 'none');
  assert.equal(kept.inodes, made.inodes + 2);
  assert.equal(anole(...create, '-B', at('no'), ...parent, '--whiteout-spec', 'aufs').status, 2);
  const other = anole(...create, '-B', at('no'), ...parent, '-g', 'sha256');
  assert.equal(other.status, 1);
  assert.match(other.stderr, /digests are blake3 here and sha256 there[\s\S]*RAFS_BAD_OPTION/);
});

test('nydus merges and describes images whose blobs are elsewhere', () => {
  const away = at('away');
  mkdirSync(away);
  for (const name of ['lower.boot', 'upper.boot']) {
    writeFileSync(join(away, name), readFileSync(at(name)));
  }
  const boot = (name: string) => join(away, name);
  json('nydus', 'merge', boot('lower.boot'), boot('upper.boot'), '-B', boot('merged.boot'));
  assert.deepEqual(readFileSync(boot('merged.boot')), readFileSync(at('merged.boot')));
  json(
    'nydus',
    'merge',
    boot('upper.boot'),
    '--parent-bootstrap',
    boot('lower.boot'),
    '-B',
    boot('2'),
  );
  assert.deepEqual(readFileSync(boot('2')), readFileSync(at('merged.boot')));
  assert.equal(json('nydus', 'stat', boot('merged.boot'))[0].files, 2);
  assert.equal(json('nydus', 'inspect', boot('lower.boot'), '/gone').chunks.length, 1);
  const { status, stdout } = anole('nydus', 'check', boot('lower.boot'));
  assert.equal(status, 1);
  assert.match(stdout, /RAFS_NO_BLOB/);
});

test('nydus chunkdict generate makes a dictionary for create, merge, compact and stat', () => {
  const images = [at('lower.boot'), at('merged.boot')];
  const dictionary = at('common.boot');
  const generate = ['nydus', 'chunkdict', 'generate', ...images, '-B', dictionary];
  const { chunks, blobs: used } = json(...generate);
  const [share] = json('nydus', 'stat', at('lower.boot')).slice(-1);
  // The files of upper are in one image only, and so is what upper removes.
  assert.ok(chunks > 0 && chunks < share.chunks);
  assert.equal(used.length, 1);
  assert.equal(json('nydus', 'check', dictionary, '-D', blobs).errors, 0);
  const stat = json('nydus', 'stat', dictionary, '--target', at('lower.boot'));
  assert.deepEqual([stat[1].shared.chunks, stat[1].own.chunks], [chunks, share.chunks - chunks]);
  const text = anole('nydus', 'stat', dictionary, '-T', at('lower.boot'));
  assert.match(text.stdout, /the others have \d+ of its \d+ chunks/);

  const take = ['--chunk-dict', `bootstrap=${dictionary}`];
  const copy = ['nydus', 'create', at('lower'), '-D', at('own'), '--no-xattrs', '-c', 'none'];
  const apart = json(...copy, '-B', at('apart.boot'));
  const with1 = json(...copy, '-B', at('with.boot'), ...take);
  assert.equal(with1.blob.chunks, share.chunks - chunks);
  const where = ['-D', at('own'), '-D', blobs];
  assert.equal(json('nydus', 'check', at('with.boot'), ...where).errors, 0);
  const merged = json('nydus', 'merge', at('apart.boot'), '-B', at('m.boot'), ...where, ...take);
  assert.deepEqual([...merged.blobs].sort(), [apart.blob.id, used[0]].sort());
  assert.equal(json('nydus', 'check', at('m.boot'), ...where).errors, 0);
  const compact = ['nydus', 'compact', at('apart.boot'), ...where, '--min-used-ratio', '101'];
  const small = json(...compact, '-B', at('c.boot'), ...take);
  assert.equal(small.blob.chunks, share.chunks - chunks);
  assert.equal(json('nydus', 'check', at('c.boot'), ...where).errors, 0);

  const wrong = anole(...generate, '--min-images', '3');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /Cannot take 3 for --min-images: there are 2/);
  assert.equal(anole(...copy, '-B', at('no'), '--chunk-dict', 'boltdb=x').status, 2);
});

test('the kernel mounts what nydus export makes', {
  skip: process.getuid?.() === 0 ? false : 'mounting needs root',
}, () => {
  json('nydus', 'export', at('merged.boot'), '-o', at('disk'));
  mkdirSync(at('mount'));
  const mount = spawnSync('mount', ['-t', 'erofs', '-o', 'ro,loop', at('disk'), at('mount')]);
  assert.equal(mount.status, 0, mount.stderr.toString());
  try {
    assert.equal(readFileSync(at('mount/usr/motd'), 'utf8'), 'hello\n');
    const tool = readFileSync(at('mount/usr/bin/tool'));
    assert.ok(tool.equals(readFileSync(at('lower/usr/bin/tool'))));
  } finally {
    spawnSync('umount', [at('mount')]);
  }
});

const veritysetup = spawnSync('veritysetup', ['--version']).status === 0;
test('veritysetup verifies what nydus export makes', {
  skip: veritysetup ? false : 'needs veritysetup (Debian: cryptsetup-bin)',
}, () => {
  const made = json('nydus', 'export', at('merged.boot'), '-o', at('verity'), '--verity');
  const args = [at('verity'), at('verity'), made.rootHash, '--hash-offset', `${made.hashOffset}`];
  const { status, stderr } = spawnSync('veritysetup', ['verify', ...args], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});
