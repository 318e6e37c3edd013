import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { AnoleError, memorySource, type Source } from '@anole/bytes';
import { MemoryTree, readTar } from '@anole/vfs';
import fc from 'fast-check';
import { type Descriptor, estargzIndex, mediaTypes, openIndexedLayer } from '../../index.ts';
import { sha256, tarOf } from '../../testing/images.ts';
import { temporary } from '../../testing/tools.ts';
import { estargzFooter } from '../../toc/estargz.ts';
import { checkTocIndex, decompress, LayoutDirectory, Staging, tocIndex } from '../index.ts';
import { type ChunkedFormat, estargzFormat, zstdChunkedFormat } from './formats.ts';
import { type ChunkedLayerOptions, writeChunkedLayer } from './write-layer.ts';

const formats = [estargzFormat, zstdChunkedFormat];

/** Files of all kinds: of several chunks, without bytes, with holes, with attributes, linked. */
function sampleTree(): MemoryTree {
  const tree = new MemoryTree();
  const program = readFileSync(process.execPath).subarray(3_000_000, 7_500_000);
  const mtime = { seconds: 1_700_000_000, nanoseconds: 600_000_000 };
  const xattrs = new Map([['user.mark', new Uint8Array([0, 255, 10])]]);
  tree.putFile('bin/program', program, { mode: 0o755, mtime, xattrs });
  tree.putLink('bin/linked', 'bin/program');
  tree.putFile('etc/motd', new TextEncoder().encode('hello\n'), { uid: 7, gid: 8 });
  tree.putFile('etc/empty', new Uint8Array(0));
  tree.putSymlink('etc/link', 'motd');
  tree.putFile('etc/.wh.gone', new Uint8Array(0));
  tree.putSpecial('dev/null', 'character', { rdev: { major: 1, minor: 3 } });
  tree.putFile('var/größe', new Uint8Array(5000).fill(1));
  const read = (offset: number, length: number) =>
    new Uint8Array(length).fill(offset < 4096 ? 5 : 0);
  const extents = [{ offset: 0, length: 4096 }];
  tree.putFile('var/sparse', { size: 200_000, extents, read });
  return tree;
}

async function write(
  test: TestContext,
  tar: Uint8Array,
  format: ChunkedFormat,
  options: ChunkedLayerOptions = {},
) {
  const layout = new LayoutDirectory(temporary(test));
  await using staging = await Staging.open(layout, { scratch: layout.directory });
  const staged = await writeChunkedLayer(memorySource(tar), format, staging, options);
  return { ...staged, bytes: new Uint8Array(readFileSync(staged.path)) };
}

async function unpacked(layer: Descriptor, bytes: Uint8Array): Promise<Uint8Array> {
  async function* all() {
    yield bytes;
  }
  const kind = layer.mediaType === mediaTypes.layerGzip ? 'gzip' : 'zstd';
  return Buffer.concat(await Array.fromAsync(decompress(all(), kind, 2 ** 30)));
}

async function namesIn(tar: Uint8Array): Promise<string[]> {
  const names: string[] = [];
  for await (const { path } of readTar(memorySource(tar))) names.push(path);
  return names;
}

describe('layers with a table of contents in themselves', () => {
  for (const format of formats) {
    it(`are the archive still, and are read by ranges: ${format.name}`, async (test) => {
      const tar = await tarOf(sampleTree());
      const { layer, diffId, bytes } = await write(test, tar, format);
      assert.equal(sha256(bytes), layer.digest);
      const archive = await unpacked(layer, bytes);
      assert.equal(sha256(archive), diffId);
      if (format === estargzFormat) assert.equal(gunzipSync(bytes).length, archive.length);
      const index = await tocIndex(layer, memorySource(bytes));
      await checkTocIndex(layer, index!, memorySource(bytes));

      let fetched = 0;
      const counted: Source = {
        size: bytes.length,
        read(offset, length) {
          fetched += length;
          return bytes.subarray(offset, offset + length);
        },
      };
      const motd = index!.members.find(({ path }) => path === 'etc/motd')!;
      const source = openIndexedLayer(index!, counted);
      const read = await source.read(motd.dataOffset, motd.size);
      assert.equal(Buffer.from(read).toString(), 'hello\n');
      assert.ok(fetched < 2000, `${fetched} bytes were read of ${bytes.length}`);

      const again = await write(test, tar, format);
      assert.equal(again.layer.digest, layer.digest);
    });
  }

  it('of zstd:chunked are the same archive, unless files have holes', async (test) => {
    const tree = sampleTree();
    tree.remove('var/sparse');
    const tar = await tarOf(tree);
    const { diffId } = await write(test, tar, zstdChunkedFormat);
    assert.equal(diffId, sha256(tar));
  });

  it('are not written where a hole would make them endless', async (test) => {
    const tree = new MemoryTree();
    const read = (_: number, length: number) => new Uint8Array(length);
    tree.putFile('hole', { size: 2 ** 50, extents: [{ offset: 0, length: 512 }], read });
    const written = write(test, await tarOf(tree), zstdChunkedFormat, { maxLayer: 2 ** 20 });
    await assert.rejects(written, { code: 'OCI_TOO_LARGE' });
  });

  it('of eStargz have files first that are wanted first, behind what they need', async (test) => {
    const tar = await tarOf(sampleTree());
    const prioritized = ['etc/motd', 'bin/program', 'not/there'];
    const { layer, bytes } = await write(test, tar, estargzFormat, { prioritized });
    const names = await namesIn(await unpacked(layer, bytes));
    assert.deepEqual(names.slice(0, 6), [
      'etc',
      'etc/motd',
      'bin',
      // The archive has the file by its first name.
      'bin/linked',
      'bin/program',
      '.prefetch.landmark',
    ]);
    assert.equal(names.at(-1), 'stargz.index.json');
    assert.equal(new Set(names).size, names.length);
    const index = await tocIndex(layer, memorySource(bytes));
    await checkTocIndex(layer, index!, memorySource(bytes));
    const plain = await write(test, tar, estargzFormat);
    assert.equal(
      (await namesIn(await unpacked(plain.layer, plain.bytes)))[0],
      '.no.prefetch.landmark',
    );
    // What was written once can be written again: the format's own files are not kept twice.
    const archive = await unpacked(layer, bytes);
    const again = await write(test, archive, estargzFormat, { prioritized });
    assert.equal(again.diffId, sha256(archive));
  });

  it('are not what their table says: that is found out', async (test) => {
    const tree = sampleTree();
    const { layer, bytes } = await write(test, await tarOf(tree), estargzFormat);
    const index = (await tocIndex(layer, memorySource(bytes)))!;
    const stored = memorySource(bytes);
    const changed = index.members.map((member) =>
      member.path === 'etc/motd' ? { ...member, mode: 0o4755 } : member,
    );
    for (const members of [changed, index.members.slice(1), index.members.slice(0, -1)]) {
      await assert.rejects(checkTocIndex(layer, { ...index, members }, stored), {
        code: 'OCI_WRONG_CONTENT',
      });
    }
  });

  it('are known by their end, also where nothing is said of them', async (test) => {
    const { layer, bytes } = await write(test, await tarOf(sampleTree()), estargzFormat);
    const bare: Descriptor = { mediaType: layer.mediaType, digest: layer.digest, size: layer.size };
    const told = await tocIndex(layer, memorySource(bytes));
    assert.deepEqual((await tocIndex(bare, memorySource(bytes)))!.members, told!.members);
    // The footer of CRFS has no head in its extra field.
    const footer = bytes.subarray(-51);
    const old = Buffer.concat([
      bytes.subarray(0, -51),
      footer.subarray(0, 10),
      new Uint8Array([22, 0]),
      footer.subarray(16),
    ]);
    gunzipSync(old);
    assert.deepEqual((await tocIndex(bare, memorySource(old)))!.members, told!.members);
    const plain = gzipSync(new Uint8Array(2000));
    assert.equal(await tocIndex(bare, memorySource(plain)), undefined);
    assert.equal(await tocIndex(bare, memorySource(new Uint8Array(3))), undefined);
    const zstd = { ...bare, mediaType: mediaTypes.layerZstd };
    assert.equal(await tocIndex(zstd, memorySource(zstdCompressSync(plain))), undefined);
  });

  it('whose tables are damaged raise nothing but coded errors', async (test) => {
    const { layer, bytes } = await write(test, await tarOf(sampleTree()), estargzFormat);
    const { annotations, ...bare } = layer;
    const wrong = {
      ...layer,
      annotations: { ...annotations, [Object.keys(annotations!)[0]!]: sha256(bytes) },
    };
    await assert.rejects(estargzIndex(wrong, memorySource(bytes)), { code: 'OCI_WRONG_CONTENT' });
    await assert.rejects(estargzIndex(layer, memorySource(bytes.subarray(0, -1))), {
      code: 'OCI_BAD_INDEX',
    });
    for (const place of [bytes.length - 51, bytes.length, 2 ** 50]) {
      const led = Buffer.concat([bytes.subarray(0, -51), estargzFooter(place)]);
      await assert.rejects(estargzIndex(layer, memorySource(led)), { code: 'OCI_BAD_INDEX' });
    }
    const start = bytes.length - 2000;
    await fc.assert(
      fc.asyncProperty(fc.nat(1999), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = bytes.slice();
        damaged[start + at]! ^= change;
        try {
          await estargzIndex(bare, memorySource(damaged));
        } catch (error) {
          assert.ok(AnoleError.is(error), String(error));
        }
      }),
      { seed: 5, numRuns: 100 },
    );
  });
});
