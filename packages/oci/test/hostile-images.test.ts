import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { unpackTree } from '@anole/host';
import { type RawMember, rawTar } from '../../vfs/test/raw-tar.ts';
import { copyImage, type Descriptor, mediaTypes, openImage, parsePlatform } from '../src/index.ts';
import { ImageStore, LayoutDirectory } from '../src/node/index.ts';
import { RawLayout, sha256, treeOf, twoLayers } from '../src/testing/images.ts';
import { needs, type Test, temporary } from '../src/testing/tools.ts';

const file = (name: string, body: string): RawMember => ({ name, body });
const directory = (name: string): RawMember => ({ name, type: '5' });
const link = (type: '1' | '2', name: string, to: string): RawMember => ({ name, type, link: to });
/** 1:3 in the fields of a device's number. */
const device: RawMember = {
  name: 'dev/null',
  type: '3',
  patch: [329, [...Buffer.from('0000001\0' + '0000003\0')]],
};

/** Unpacks an image of one layer into a directory beside which lies what must not be touched. */
async function unpacked(test: Test, ...members: readonly RawMember[]) {
  const base = temporary(test);
  const raw = new RawLayout(join(base, 'raw'));
  raw.name(raw.image({ layers: [{ tar: rawTar(...members) }] }), 'a');
  mkdirSync(join(base, 'outside'));
  writeFileSync(join(base, 'outside/kept'), 'kept');
  const root = join(base, 'outside/root');
  const tree = await treeOf(test, new LayoutDirectory(raw.directory), 'a');
  const report = await unpackTree(tree, root, {});
  assert.deepEqual(readdirSync(join(base, 'outside')).sort(), ['kept', 'root']);
  assert.equal(readFileSync(join(base, 'outside/kept'), 'utf8'), 'kept');
  return { root, report };
}

describe('layers that want to be outside', () => {
  it('have absolute names inside', async (test) => {
    const { root } = await unpacked(test, file('/etc/a', 'one'), file('///b', 'two'));
    assert.equal(readFileSync(join(root, 'etc/a'), 'utf8'), 'one');
    assert.equal(readFileSync(join(root, 'b'), 'utf8'), 'two');
  });

  it('do not get there through links, neither absolute nor climbing ones', async (test) => {
    const { root } = await unpacked(
      test,
      link('2', 'up', '../..'),
      file('up/outside/kept', 'lost'),
      link('2', 'top', '/'),
      file('top/found', 'found'),
    );
    assert.equal(readFileSync(join(root, 'outside/kept'), 'utf8'), 'lost');
    assert.equal(readFileSync(join(root, 'found'), 'utf8'), 'found');
  });

  for (const [what, ...members] of [
    ['a name that climbs', file('a/../../outside/kept', 'lost')],
    ['a hard link that climbs', link('1', 'a', '../outside/kept')],
  ] as const) {
    it(`are refused for ${what}`, async (test) => {
      await assert.rejects(unpacked(test, ...members), { code: 'TAR_BAD_NAME' });
    });
  }
});

describe('layers that say a thing twice', () => {
  it('mean what they said last', async (test) => {
    const { root } = await unpacked(
      test,
      file('a', 'first'),
      directory('b'),
      file('b/c', 'gone'),
      file('a', 'last'),
      file('b', 'a file now'),
    );
    assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'last');
    assert.equal(readFileSync(join(root, 'b'), 'utf8'), 'a file now');
  });
});

describe('device nodes', () => {
  it('are made, as root', { skip: needs('root') }, async (test) => {
    const { root } = await unpacked(test, device);
    const { rdev } = lstatSync(join(root, 'dev/null'));
    assert.equal(rdev, (1 << 8) | 3);
  });
});

describe('indexes', () => {
  it('that lead to themselves are not followed, whatever they say that they are', async (test) => {
    const base = temporary(test);
    const raw = new RawLayout(join(base, 'raw'));
    // No bytes have their own digest in them: a registry that does not care can lie about it only.
    const content = Buffer.from('{"schemaVersion":2,"manifests":[]}');
    const own: Descriptor = {
      mediaType: mediaTypes.index,
      digest: sha256(content),
      size: content.length,
    };
    const loop = raw.json(mediaTypes.index, { schemaVersion: 2, manifests: [own] });
    const blobs = join(raw.directory, 'blobs/sha256');
    writeFileSync(join(blobs, own.digest.slice(7)), raw.read(loop.digest));
    raw.name(loop, 'a');
    const reader = new LayoutDirectory(raw.directory);
    await assert.rejects(openImage(reader, loop, parsePlatform('linux/amd64')), {
      code: 'OCI_WRONG_CONTENT',
    });
    const store = new ImageStore(join(base, 'store'));
    await assert.rejects(copyImage(reader, store, { selector: 'a', tag: 'h.example/a:1' }), {
      code: 'OCI_WRONG_CONTENT',
    });
    assert.deepEqual(await store.list(), []);
  });

  it('that nest deeper than anybody needs are refused', async (test) => {
    const base = temporary(test);
    const raw = new RawLayout(join(base, 'raw'));
    let deep = raw.image({ layers: (await twoLayers()).map((tar) => ({ tar })) });
    for (let level = 0; level < 6; level++) deep = raw.index([['linux/riscv64', deep]]);
    raw.name(deep, 'a');
    const reader = new LayoutDirectory(raw.directory);
    const store = new ImageStore(join(base, 'store'));
    const wrong = { code: 'OCI_BAD_MANIFEST' };
    await assert.rejects(openImage(reader, deep, parsePlatform('linux/riscv64')), wrong);
    await assert.rejects(copyImage(reader, store, { selector: 'a', tag: 'h.example/a:1' }), wrong);
    assert.deepEqual(await store.list(), []);
  });
});
