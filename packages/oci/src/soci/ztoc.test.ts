import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { AnoleError, memorySource, type Source } from '@anole/bytes';
import { MemoryTree, type TarMember } from '@anole/vfs';
import fc from 'fast-check';
import {
  encodeZtoc,
  type ImageReader,
  type LayerIndex,
  layerSpans,
  mediaTypes,
  openIndexedLayer,
  parseZtoc,
} from '../index.ts';
import { checkLayerIndex, indexLayer } from '../node/index.ts';
import { sha256, tarOf } from '../testing/images.ts';
import { needs, run, temporary } from '../testing/tools.ts';

/** Files of every kind, among them one of several spans. */
function sampleTree(): MemoryTree {
  const tree = new MemoryTree();
  const mtime = { seconds: 1_700_000_000, nanoseconds: 123_000_000 };
  const mark = new Map([['user.mark', new Uint8Array([0, 255, 10])]]);
  tree.putFile('etc/motd', new TextEncoder().encode('hello\n'), { uid: 1000, gid: 5, mtime });
  tree.putFile('etc/marked', new Uint8Array(3), { mode: 0o4711, xattrs: mark });
  tree.putLink('etc/linked', 'etc/motd');
  tree.putSymlink('lib', 'usr/lib');
  tree.putSpecial('dev/null', 'character', { rdev: { major: 1, minor: 3 } });
  tree.putSpecial('srv/pipe', 'fifo');
  tree.putFile('usr/lib/data', readFileSync(process.execPath).subarray(3_000_000, 6_000_000));
  tree.putFile(`usr/${'long'.repeat(60)}`, new Uint8Array(1), {
    mtime: { seconds: -5, nanoseconds: 0 },
  });
  return tree;
}

type Compression = 'gzip' | 'none' | 'zstd';
const layerTypes: Readonly<Record<Compression, string>> = {
  gzip: mediaTypes.layerGzip,
  none: mediaTypes.layer,
  zstd: mediaTypes.layerZstd,
};
const compress: Readonly<Record<Compression, (tar: Uint8Array) => Uint8Array>> = {
  gzip: (tar) => gzipSync(tar),
  none: (tar) => tar,
  zstd: inFrames,
};

/** Frames of zstd, one without data and some that decoders pass over between them. */
function inFrames(tar: Uint8Array): Uint8Array {
  const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const frames: Uint8Array[] = [skipped, zstdCompressSync(new Uint8Array(0))];
  for (let at = 0; at < tar.length; at += 300_000) {
    frames.push(zstdCompressSync(tar.subarray(at, at + 300_000)));
    if (at % 900_000 === 0) frames.push(skipped);
  }
  return Buffer.concat(frames);
}

async function indexed(
  tar: Uint8Array,
  compression: Compression,
): Promise<[LayerIndex, Uint8Array]> {
  const bytes = compress[compression](tar);
  const mediaType = layerTypes[compression];
  const layer = { mediaType, digest: sha256(bytes), size: bytes.length };
  return [await indexLayer(readerOf(bytes), layer, { span: 256 * 1024 }), bytes];
}

function readerOf(bytes: Uint8Array): ImageReader {
  return {
    name: 'a test',
    async *blob() {
      yield bytes;
    },
  } as unknown as ImageReader;
}

/** What a ztoc does not keep. */
function kept({ headerOffset: _, atime: __, ctime: ___, ...member }: TarMember) {
  return member;
}

for (const compression of ['gzip', 'none', 'zstd'] as const) {
  describe(`ztocs of a layer compressed by ${compression}`, () => {
    it('tell of every file, and lead to its bytes', async () => {
      const tar = await tarOf(sampleTree());
      const [index, bytes] = await indexed(tar, compression);
      const ztoc = parseZtoc(encodeZtoc({ ...index, tool: 'test' }));
      assert.equal(ztoc.tool, 'test');
      assert.deepEqual(ztoc.members.map(kept), index.members.map(kept));
      assert.deepEqual(ztoc.plain, index.plain);
      assert.deepEqual(ztoc.parts?.spans, index.parts?.spans);
      assert.ok(layerSpans(ztoc).count > 5);
      assert.deepEqual(ztoc.gzip?.digests, index.gzip?.digests);
      await checkLayerIndex(ztoc, memorySource(bytes), sha256(tar));
    });

    it('that are wrong are told by the check', async () => {
      const tar = await tarOf(sampleTree());
      const [index, bytes] = await indexed(tar, compression);
      const check = (wrong: LayerIndex) => checkLayerIndex(wrong, memorySource(bytes), sha256(tar));
      const [first, ...rest] = index.members;
      const wrong = { code: 'OCI_WRONG_CONTENT' };
      await assert.rejects(check({ ...index, members: rest }), wrong);
      await assert.rejects(check({ ...index, members: [...index.members, first!] }), wrong);
      await assert.rejects(check({ ...index, members: [{ ...first!, uid: 7 }, ...rest] }), wrong);
      await assert.rejects(
        checkLayerIndex(index, memorySource(bytes), `sha256:${'0'.repeat(64)}`),
        wrong,
      );
      const changed = Uint8Array.from(bytes);
      changed[100_000]! ^= 1;
      await assert.rejects(checkLayerIndex(index, memorySource(changed), sha256(tar)), {
        code: 'SPAN_WRONG_CONTENT',
      });
    });
  });
}

it('a ztoc may end with its archive, before the zeros that fill the last record', async () => {
  const tar = await tarOf(sampleTree());
  for (const [last, isSound] of [
    [0, true],
    [1, false],
  ] as const) {
    const filled = new Uint8Array(Math.ceil((tar.length + 1) / 10_240) * 10_240);
    filled.set(tar);
    filled[filled.length - 1] = last;
    const [index, bytes] = await indexed(filled, 'gzip');
    // As SOCI's builder has it.
    const { length: size } = tar;
    const short = parseZtoc(
      encodeZtoc({ ...index, size, gzip: { ...index.gzip!, size }, tool: 'test' }),
    );
    const checked = checkLayerIndex(short, memorySource(bytes), sha256(filled));
    if (isSound) await checked;
    else await assert.rejects(checked, { code: 'OCI_WRONG_CONTENT' });
  }
});

/** As the public schema has it. */
const schema = `namespace ztoc;
table Xattr { key:string; value:string; }
table FileMetadata { name:string; type:string; uncompressed_offset:long; uncompressed_size:long;
  linkname:string; mode:long; uid:uint32; gid:uint32; uname:string; gname:string; mod_time:string;
  devmajor:long; devminor:long; xattrs:[Xattr]; }
enum CompressionAlgorithm : byte { Gzip = 1, Uncompressed }
table CompressionInfo { compression_algorithm:CompressionAlgorithm = Gzip; max_span_id:int;
  span_digests:[string]; checkpoints:[ubyte]; }
table TOC { metadata:[FileMetadata]; }
table Ztoc { version:string; build_tool_identifier:string; compressed_archive_size:long;
  uncompressed_archive_size:long; toc:TOC; compression_info:CompressionInfo; }
root_type Ztoc;
`;

describe('flatc', { skip: needs('flatc') }, () => {
  it('reads our ztocs, and writes them so that we read them', async (test) => {
    const directory = temporary(test);
    const at = (name: string) => join(directory, name);
    const tree = sampleTree();
    // JSON has no bytes that are no text.
    tree.find('etc/marked')!.change({ xattrs: new Map() });
    const [index] = await indexed(await tarOf(tree), 'gzip');
    writeFileSync(at('ztoc.fbs'), schema);
    writeFileSync(at('layer.bin'), encodeZtoc({ ...index, tool: 'test' }));
    const flatc = (...args: string[]) => run('flatc', '-o', directory, ...args);
    flatc('--json', '--strict-json', '--raw-binary', at('ztoc.fbs'), '--', at('layer.bin'));
    const json = JSON.parse(readFileSync(at('layer.json'), 'utf8'));
    assert.equal(json.version, '0.9');
    assert.equal(json.compressed_archive_size, index.compressedSize);
    assert.equal(json.uncompressed_archive_size, index.size);
    assert.equal(json.compression_info.max_span_id, index.gzip!.checkpoints.length - 1);
    assert.deepEqual(
      json.compression_info.span_digests,
      index.gzip!.digests!.map((digest) => `sha256:${digest}`),
    );
    const file = json.toc.metadata.find(({ name }: { name: string }) =>
      name.endsWith('etc/linked'),
    );
    assert.equal(file.mod_time, '2023-11-14T22:13:20.123Z');
    assert.deepEqual([file.type, file.uid, file.gid, file.mode], ['reg', 1000, 5, 0o644]);
    const device = json.toc.metadata.find(({ type }: { type: string }) => type === 'char');
    assert.deepEqual([device.devmajor, device.devminor], [1, 3]);

    flatc('--binary', at('ztoc.fbs'), at('layer.json'));
    const theirs = parseZtoc(readFileSync(at('layer.bin')));
    assert.deepEqual(theirs.members.map(kept), index.members.map(kept));
    assert.deepEqual(
      theirs.gzip!.checkpoints.map(({ window: _, ...rest }) => rest),
      index.gzip!.checkpoints.map(({ window: _, ...rest }) => rest),
    );
  });
});

for (const compression of ['gzip', 'zstd'] as const) {
  it(`whatever the bytes of a ztoc of ${compression} are, reading it ends with a coded error or a table`, async () => {
    const tree = sampleTree();
    if (compression === 'gzip') tree.remove('usr', { recursive: true });
    const [index] = await indexed(await tarOf(tree), compression);
    const ztoc = encodeZtoc({ ...index, tool: 'test' });
    // Of gzip nearly all of it is one window.
    const places = fc.oneof(
      fc.nat(600),
      fc.integer({ min: ztoc.length - 3000, max: ztoc.length - 1 }),
    );
    fc.assert(
      fc.property(places, fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
        const damaged = Uint8Array.from(ztoc);
        damaged.set(bytes.subarray(0, damaged.length - at), at);
        try {
          parseZtoc(damaged);
        } catch (error) {
          assert.ok(AnoleError.is(error), String(error));
        }
      }),
      { seed: 4, numRuns: 3000 },
    );
  });
}

describe('pzstd', { skip: needs('pzstd') }, () => {
  it('writes frames, each of which a read takes alone', async (test) => {
    const directory = temporary(test);
    const tar = await tarOf(sampleTree());
    writeFileSync(join(directory, 'layer.tar'), tar);
    run('pzstd', '-q', '-1', '-p', '4', join(directory, 'layer.tar'));
    const bytes = readFileSync(join(directory, 'layer.tar.zst'));
    const index = await indexLayer(readerOf(bytes), {
      mediaType: mediaTypes.layerZstd,
      digest: sha256(bytes),
      size: bytes.length,
    });
    const { count } = layerSpans(index);
    assert.ok(count > 1, `${count} frames`);
    await checkLayerIndex(index, memorySource(bytes), sha256(tar));
    let fetched = 0;
    const counted: Source = {
      size: bytes.length,
      read(offset, length) {
        fetched += length;
        return new Uint8Array(bytes.subarray(offset, offset + length));
      },
    };
    const ztoc = parseZtoc(encodeZtoc({ ...index, tool: 'test' }));
    const read = await openIndexedLayer(ztoc, counted).read(tar.length - 100, 100);
    assert.deepEqual(Buffer.from(read), Buffer.from(tar.subarray(-100)));
    assert.equal(fetched, ztoc.parts!.spans.at(-1)!.end - ztoc.parts!.spans.at(-1)!.start);
  });
});

it('a layer that is one long zstd frame has no index', async () => {
  const tar = await tarOf(sampleTree());
  const bytes = zstdCompressSync(Buffer.concat([tar, new Uint8Array(65 * 1024 * 1024)]));
  const layer = { mediaType: mediaTypes.layerZstd, digest: sha256(bytes), size: bytes.length };
  await assert.rejects(indexLayer(readerOf(bytes), layer), { code: 'OCI_UNSUPPORTED' });
});

it('digests of spans are those of the stored bytes', async () => {
  const [index, bytes] = await indexed(await tarOf(sampleTree()), 'gzip');
  const { checkpoints, digests } = index.gzip!;
  for (const [at, { in: start, bits }] of checkpoints.entries()) {
    const end = checkpoints[at + 1]?.in ?? bytes.length;
    const span = bytes.subarray(start - (bits > 0 ? 1 : 0), end);
    assert.equal(digests![at], createHash('sha256').update(span).digest('hex'));
  }
});
