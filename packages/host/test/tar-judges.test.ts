import assert from 'node:assert/strict';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { describe, it } from 'node:test';
import { type CompareOptions, describeDifferences, treeFromTar, writeTar } from '@anole/vfs';
import { fileSource, hostTree, unpackTree } from '../src/index.ts';
import { sampleTree } from './sample.ts';
import { needs, run, temporary } from './tools.ts';

/** Ways of other programs to pack a directory, and what their format cannot keep. */
const packers: readonly (readonly [name: string, command: string[], lost: CompareOptions])[] = [
  ['GNU tar, PAX', ['tar', '--format=posix', '--xattrs', '--xattrs-include=*', '-c'], {}],
  [
    'GNU tar, PAX, sparse 0.0',
    ['tar', '--format=posix', '-S', '--sparse-version=0.0', '-c'],
    { ignore: ['xattr'] },
  ],
  [
    'GNU tar, PAX, sparse 0.1',
    ['tar', '--format=posix', '-S', '--sparse-version=0.1', '-c'],
    { ignore: ['xattr'] },
  ],
  [
    'GNU tar, PAX, sparse 1.0',
    ['tar', '--format=posix', '-S', '--sparse-version=1.0', '-c'],
    { ignore: ['xattr'] },
  ],
  ['GNU tar, GNU', ['tar', '--format=gnu', '-c'], { ignore: ['xattr'], times: 'seconds' }],
  [
    'GNU tar, GNU, sparse',
    ['tar', '--format=gnu', '-S', '-c'],
    { ignore: ['xattr'], times: 'seconds' },
  ],
  ['GNU tar, old GNU', ['tar', '--format=oldgnu', '-c'], { ignore: ['xattr'], times: 'seconds' }],
  ['bsdtar, PAX', ['bsdtar', '--format=pax', '--xattrs', '-c'], {}],
  [
    'bsdtar, GNU',
    ['bsdtar', '--format=gnutar', '-c'],
    // libarchive writes no negative times in this format.
    { ignore: ['xattr'], times: 'seconds', filter: (path) => path !== 'before 1970' },
  ],
];

const root = process.geteuid?.() === 0;

describe('tar archives of other programs', () => {
  for (const [name, command, lost] of packers) {
    it(`are read right: ${name}`, { skip: needs(command[0]!, 'attributes') }, async (test) => {
      const base = temporary(test);
      const directory = join(base, 'd');
      await unpackTree(sampleTree({ root }), directory);
      run([...command, '-f', join(base, 'a.tar'), '-C', directory, '.']);
      using packed = hostTree(directory, { xattrs: true });
      const stream = createReadStream(join(base, 'a.tar'), { highWaterMark: 10_000 });
      assert.equal(await describeDifferences(packed, await treeFromTar(stream), lost), '');
      using source = fileSource(join(base, 'a.tar'));
      assert.equal(await describeDifferences(packed, await treeFromTar(source), lost), '');
    });
  }
});

const unpackers: readonly (readonly [
  name: string,
  command: string[],
  lost: CompareOptions,
  needed: string[],
])[] = [
  [
    'GNU tar',
    ['tar', '--numeric-owner', '--xattrs', '--xattrs-include=*', '-xpf'],
    {},
    // It makes files read-only before it sets their attributes.
    ['root'],
  ],
  [
    'bsdtar',
    ['bsdtar', '--numeric-owner', '--xattrs', '-xpf'],
    // libarchive does not undo what GNU tar does with signs that a PAX key cannot hold.
    { xattrFilter: (name) => !/[=%]/.test(name) },
    [],
  ],
];

describe('tar archives of ours', () => {
  for (const [name, command, lost, needed] of unpackers) {
    const skip = needs(command[0]!, 'attributes', ...needed);
    it(`are unpacked right by ${name}`, { skip }, async (test) => {
      const base = temporary(test);
      const tree = sampleTree({ root });
      await pipeline(writeTar(tree, { prefix: 'd/' }), createWriteStream(join(base, 'a.tar')));
      run([...command, join(base, 'a.tar'), '-C', base]);
      using unpacked = hostTree(join(base, 'd'), { xattrs: true });
      assert.equal(await describeDifferences(tree, unpacked, lost), '');
    });
  }

  it('are the same as their directory to GNU tar', { skip: needs('tar') }, async (test) => {
    const base = temporary(test);
    const directory = join(base, 'd');
    await unpackTree(sampleTree({ root }), directory);
    using tree = hostTree(directory);
    await pipeline(writeTar(tree), createWriteStream(join(base, 'a.tar')));
    run(['tar', '-df', join(base, 'a.tar'), '-C', directory]);
  });
});
