// Images of another writer: mkcomposefs (Debian's composefs, from trixie on) stores the metadata of a tree, and of its
// files who has the data.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeName, memorySource } from '@anole/bytes';
import { hostTree, unpackTree } from '@anole/host';
import { describeDifferences, walk } from '@anole/vfs';
import { checkErofs, openErofs } from '../src/index.ts';
import { Mounted, missing, noMount, run, Scratch } from './judges.ts';
import { edgeTree } from './trees.ts';

const noComposefs = missing('mkcomposefs');
const skip = noComposefs || noMount() || missing('getfattr');
const REDIRECT = 'trusted.overlay.redirect';

/** That an image is sound, and that Linux sees in it what is read here. */
async function assertRead(scratch: Scratch, file: string): Promise<void> {
  const source = memorySource(readFileSync(file));
  assert.deepEqual((await checkErofs(source)).findings, []);
  using mounted = new Mounted(scratch, file);
  using seen = hostTree(mounted.path, { xattrs: true });
  assert.equal(await describeDifferences(await openErofs(source), seen), '');
}

test('what mkcomposefs makes of a directory is sound, and reads as Linux reads it', {
  skip,
}, async () => {
  using scratch = new Scratch();
  const [from, objects, image] = ['from', 'objects', 'image'].map((name) => scratch.at(name));
  const tree = edgeTree();
  await unpackTree(tree, from!);
  run(['mkcomposefs', `--digest-store=${objects}`, from!, image!]);
  await assertRead(scratch, image!);
  // Of each file it tells where the data are.
  const made = await openErofs(memorySource(readFileSync(image!)));
  let redirected = 0;
  for await (const { path, node } of walk(made)) {
    const place = node.stat.type === 'file' ? (await node.xattrs()).get(REDIRECT) : undefined;
    if (place === undefined) continue;
    const stored = readFileSync(`${objects}/${decodeName(place)}`);
    assert.ok(stored.equals(readFileSync(`${from}/${path}`)), path);
    redirected++;
  }
  assert.ok(redirected > 10, `${redirected}`);
});

/** Lines of composefs-dump(5): path, size, mode, links, owner, group, device, time, payload, content, digest, attributes. */
const dumps: Readonly<Record<string, readonly string[]>> = {
  'files of all sizes': [
    '/ 4096 40755 2 0 0 0 1700000000.5 - - -',
    ...[0, 1, 4095, 4096, 4097, 2 ** 22 + 1].map(
      (size, at) => `/sparse-${at} ${size} 100644 1 1000 1000 0 ${at}.${at} some/where - -`,
    ),
    '/inline 15 100600 1 70000 70001 0 1.999999999 - one\\ntwo\\nthree\\n\\x00 -',
    `/tail 2500 104755 1 0 0 0 -5.0 - ${'abcde'.repeat(500)} -`,
  ],
  'names and links': [
    '/ 4096 41777 3 0 0 0 0.0 - - -',
    '/a\\x20name\\\\ 4096 40700 2 5 6 0 1.0 - - -',
    '/a\\x20name\\\\/\\xc3\\xa9 0 100644 2 0 0 0 0.0 - - -',
    '/a\\x20name\\\\/\\xff 0 100644 1 0 0 0 0.0 - - -',
    '/another 0 @100644 2 0 0 0 0.0 /a\\x20name\\\\/\\xc3\\xa9 - -',
    '/link 5 120777 1 0 0 0 0.0 where - -',
    `/long 1000 120777 1 0 0 0 0.0 ${'d/'.repeat(500)} - -`,
    '/tty 0 20620 1 0 5 1280 0.0 - - -',
    '/disk 0 60660 1 0 6 2065 0.0 - - -',
    '/fifo 0 10644 1 0 0 0 0.0 - - -',
  ],
  attributes: [
    '/ 4096 40755 2 0 0 0 0.0 - - - user.root=x trusted.root=y',
    ...Array.from(
      { length: 300 },
      (_, at) =>
        `/file-${at} ${at * 100} 100644 1 0 0 0 0.0 - - - security.selinux=system_u\\x00 user.own=${'v'.repeat(at * 9)}`,
    ),
    '/overlaid 0 100644 1 0 0 0 0.0 - - - trusted.overlay.opaque=y trusted.overlay.redirect=/x',
    '/whiteout 0 20000 1 0 0 0 0.0 - - -',
  ],
};

for (const [what, lines] of Object.entries(dumps)) {
  for (const version of ['0', '1']) {
    test(`what it makes of a list of ${what} in its format ${version} does, too`, {
      skip,
    }, async () => {
      using scratch = new Scratch();
      const [list, image] = [scratch.at('list'), scratch.at('image')];
      writeFileSync(list, `${lines.join('\n')}\n`);
      const versions = [`--min-version=${version}`, `--max-version=${version}`];
      run(['mkcomposefs', '--from-file', ...versions, list, image]);
      await assertRead(scratch, image);
    });
  }
}

/** Source: composefs tests/assets, bigfile.dump.sha256. */
const PUBLISHED = {
  list: '/ 4096 40755 2 0 0 0 0.0 - - -\n/bigfile 9000000000000000 100777 1 0 0 0 0.0 - - -\n',
  sha256: '475838479da68b086445eca1f12dd30fc4513f3f88c66b40b58fd70f7495ea27',
};

test('an image whose hash its makers publish is the one that is read', {
  skip: noComposefs,
}, async () => {
  using scratch = new Scratch();
  const [list, image] = [scratch.at('list'), scratch.at('image')];
  writeFileSync(list, PUBLISHED.list);
  run(['mkcomposefs', '--from-file', list, image]);
  const bytes = readFileSync(image);
  assert.equal(createHash('sha256').update(bytes).digest('hex'), PUBLISHED.sha256);
  const source = memorySource(bytes);
  assert.deepEqual((await checkErofs(source)).findings, []);
  const file = await (await openErofs(source)).root.lookup('bigfile');
  assert.equal(file!.stat.size, 9_000_000_000_000_000);
  assert.deepEqual(await file!.extents!(), []);
});
