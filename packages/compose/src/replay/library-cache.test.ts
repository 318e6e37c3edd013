import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { scratch, without } from '../testing/debs.ts';
import { readSharedObject } from './elf.ts';
import { compareLibraries, encodeLibraryCache, findLibraries } from './library-cache.ts';
import { Rootfs } from './rootfs.ts';

const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const directory = `/usr/lib/${triplet}`;
const skip =
  without('ldconfig', '--version') || (existsSync(directory) ? false : `no ${directory}`);

/** This machine's libraries, as files and links. */
function hostLibraries(): Rootfs {
  const rootfs = Rootfs.empty(0);
  rootfs.symlink('/lib', 'usr/lib');
  rootfs.write('/etc/ld.so.conf', `include /etc/ld.so.conf.d/*.conf\n`);
  rootfs.write('/etc/ld.so.conf.d/a.conf', `# comment\n/lib/${triplet}\n`);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (!entry.name.includes('.so') || !existsSync(path) || !statSync(path).isFile()) continue;
    if (entry.isSymbolicLink()) {
      const target = realpathSync(path);
      if (target.startsWith(`${directory}/`))
        rootfs.symlink(path, target.slice(directory.length + 1));
    } else rootfs.write(path, readFileSync(path));
  }
  return rootfs;
}

test('ldconfig reads the cache, and would have written the same of these libraries', {
  skip,
}, async () => {
  using scratchDirectory = scratch();
  const rootfs = hostLibraries();
  const libraries = await findLibraries(rootfs, triplet);
  assert.ok(libraries.length > 20);
  const [ours, theirs] = ['ours', 'theirs'].map((name) => join(scratchDirectory.path, name));
  writeFileSync(ours!, encodeLibraryCache(libraries));
  const configuration = join(scratchDirectory.path, 'conf');
  writeFileSync(configuration, `/lib/${triplet}\n`);
  execFileSync('ldconfig', ['-X', '-f', configuration, '-C', theirs!], { stdio: 'pipe' });
  const listed = (file: string) => {
    const text = execFileSync('ldconfig', ['-p', '-C', file], { encoding: 'utf8' });
    const lines = text.split('\n').filter((line) => line.includes(`=> /lib/${triplet}/`));
    return lines.filter((line) => !line.includes('hwcap'));
  };
  // Links that lead out of the directory are not copied above; the rest must agree, in order.
  const copied = listed(theirs!).filter((line) => rootfs.exists(line.split('=> ')[1]!));
  assert.deepEqual(listed(ours!), copied);
});

test('names are ordered as glibc orders them', () => {
  const names = [
    'libz.so.1',
    'liba.so.2',
    'liba.so.10',
    'liba.so',
    'lib1.so',
    'libb-2.so',
    'libb.so',
  ];
  assert.deepEqual(names.toSorted(compareLibraries), [
    'liba.so',
    'liba.so.2',
    'liba.so.10',
    'libb-2.so',
    'libb.so',
    'libz.so.1',
    'lib1.so',
  ]);
});

test('the order of names is total', () => {
  const name = fc.stringMatching(/^[a-c0-2.]{0,6}$/);
  fc.assert(
    fc.property(name, name, name, (a, b, c) => {
      assert.equal(Math.sign(compareLibraries(a, b)), -Math.sign(compareLibraries(b, a)) || 0);
      if (compareLibraries(a, b) <= 0 && compareLibraries(b, c) <= 0) {
        assert.ok(compareLibraries(a, c) <= 0);
      }
    }),
    { seed: 56, numRuns: 500 },
  );
});

test('damaged libraries are passed over', { skip }, async () => {
  const sample = readdirSync(directory).find((name) => name.startsWith('libz.so.')) ?? 'libc.so.6';
  const whole = readFileSync(join(directory, sample)).subarray(0, 200_000);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(whole.length),
      fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 8 }),
      async (length, changes) => {
        const bytes = new Uint8Array(whole.subarray(0, length));
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        const node = Rootfs.empty(0).write('/lib.so', bytes);
        const found = await readSharedObject(node);
        assert.ok(found === undefined || typeof found.machine === 'number');
      },
    ),
    { seed: 57, numRuns: 300 },
  );
});
