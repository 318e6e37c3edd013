import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { AnoleError, memorySource } from '@anole/bytes';
import fc from 'fast-check';
import { indexedLayerTree, openIndexedLayer } from '../index.ts';
import { type ChunkedTocOptions, parseChunkedToc } from './chunked-toc.ts';

const hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const parts = ['one ', 'two', 'another'].map((text) => Buffer.from(text));
const stored = parts.map((part) => gzipSync(part));
const starts = stored.map((_, at) =>
  stored.slice(0, at).reduce((sum, { length }) => sum + length, 0),
);
const layer = Buffer.concat(stored);
const options: ChunkedTocOptions = {
  compressedSize: layer.length,
  dataEnd: layer.length,
  decode: (bytes, size, inner) => gunzipSync(bytes).subarray(inner, inner + size),
};

/** A file of two chunks, one of one chunk, and the rest. */
function entries(): Record<string, unknown>[] {
  const chunk = (at: number, size: number) => ({
    offset: starts[at],
    chunkSize: size,
    chunkDigest: `sha256:${hex(parts[at]!)}`,
  });
  const modtime = '2024-01-02T03:04:05Z';
  return [
    { name: 'etc/', type: 'dir', mode: 0o755, modtime },
    {
      name: 'etc/long',
      type: 'reg',
      size: 7,
      mode: 0o644,
      uid: 7,
      gid: 8,
      modtime,
      ...chunk(0, 4),
    },
    { name: 'etc/long', type: 'chunk', chunkOffset: 4, ...chunk(1, 3) },
    { name: 'etc/empty', type: 'reg', mode: 0o600 },
    { name: 'etc/short', type: 'reg', size: 7, xattrs: { 'user.a': 'AP8=' }, ...chunk(2, 7) },
    { name: 'link', type: 'symlink', linkName: 'etc/short' },
    { name: 'hard', type: 'hardlink', linkName: 'etc/short' },
    { name: 'null', type: 'char', devMajor: 1, devMinor: 3 },
    { name: 'stargz.index.json', type: 'reg', size: 5, offset: 0 },
  ];
}

const parse = (list: readonly Record<string, unknown>[]) =>
  parseChunkedToc(new TextEncoder().encode(JSON.stringify({ version: 1, entries: list })), options);

describe('tables of contents of eStargz and zstd:chunked', () => {
  it('lead to the bytes of every file, verified', async () => {
    const index = parse(entries());
    assert.deepEqual(
      index.members.map(({ path, type, size }) => [path, type, size]),
      [
        ['etc', 'directory', 0],
        ['etc/long', 'file', 7],
        ['etc/empty', 'file', 0],
        ['etc/short', 'file', 7],
        ['link', 'symlink', 0],
        ['hard', 'hardlink', 0],
        ['null', 'character', 0],
      ],
    );
    const source = openIndexedLayer(index, memorySource(layer));
    const read = async (path: string) => {
      const { dataOffset, size } = index.members.find((each) => each.path === path)!;
      return Buffer.from(await source.read(dataOffset, size)).toString();
    };
    assert.equal(await read('etc/long'), 'one two');
    assert.equal(await read('etc/short'), 'another');
    const [, long, , short] = index.members;
    assert.deepEqual([long!.uid, long!.gid, long!.mtime.seconds], [7, 8, 1_704_164_645]);
    assert.deepEqual([...short!.xattrs], [['user.a', new Uint8Array([0, 255])]]);
    assert.deepEqual(index.members.at(-1)!.rdev, { major: 1, minor: 3 });
  });

  it('may say where a file of several chunks ends, and let chunks share what is stored', async () => {
    const shared = gzipSync(Buffer.concat([parts[0]!, parts[1]!]));
    const chunk = { offset: 0, chunkType: 'zeros' };
    const list = [
      { name: 'a', type: 'reg', size: 7, endOffset: shared.length, ...chunk, chunkSize: 4 },
      { name: 'a', type: 'chunk', ...chunk, chunkOffset: 4, chunkSize: 3, innerOffset: 4 },
    ];
    const bytes = new TextEncoder().encode(JSON.stringify({ version: 1, entries: list }));
    const size = { compressedSize: shared.length + 9, dataEnd: shared.length + 9 };
    const index = parseChunkedToc(bytes, { ...options, ...size });
    assert.ok(index.parts!.spans.every(({ end }) => end === shared.length));
    const stored = memorySource(Buffer.concat([shared, Buffer.alloc(9)]));
    const read = await openIndexedLayer(index, stored).read(0, 7);
    assert.equal(Buffer.from(read).toString(), 'one two');
    const tree = indexedLayerTree(index, stored);
    const file = await tree.root.lookup('a');
    assert.equal(Buffer.from(await file!.read(2, 5)).toString(), 'e two');
  });

  it('of other bytes raise an error when those are read', async () => {
    const list = entries();
    list[4]!['chunkDigest'] = `sha256:${hex(parts[0]!)}`;
    const index = parse(list);
    const source = openIndexedLayer(index, memorySource(layer));
    await assert.rejects(async () => source.read(7, 7), { code: 'SPAN_WRONG_CONTENT' });
  });

  it('that cannot be are refused', () => {
    const change = (at: number, fields: Record<string, unknown>) => () => {
      const list = entries();
      Object.assign(list[at]!, fields);
      return parse(list);
    };
    for (const wrong of [
      change(0, { type: 'nothing' }),
      change(0, { name: '../up' }),
      change(1, { chunkSize: 9 }),
      change(1, { size: 8 }),
      change(1, { offset: layer.length }),
      change(1, { offset: -1 }),
      change(2, { type: 'reg', size: 3 }),
      change(4, { endOffset: layer.length + 1 }),
      change(4, { chunkDigest: 'sha256:12' }),
      change(4, { xattrs: { 'user.a': 'no base64' } }),
      change(4, { chunkType: 'other' }),
    ]) {
      assert.throws(
        wrong,
        (error) => AnoleError.is(error) && /^(?:OCI_BAD_INDEX|TAR_)/.test(error.code),
      );
    }
    assert.throws(() => parse([{ name: 'x', type: 'chunk', offset: 0 }]), {
      code: 'OCI_BAD_INDEX',
    });
  });

  it('whatever their bytes are raise nothing but coded errors', () => {
    const text = JSON.stringify({ version: 1, entries: entries() });
    fc.assert(
      fc.property(fc.nat(text.length), fc.string({ maxLength: 6 }), (at, change) => {
        const damaged = text.slice(0, at) + change + text.slice(at + change.length);
        try {
          parseChunkedToc(new TextEncoder().encode(damaged), options);
        } catch (error) {
          assert.ok(AnoleError.is(error), String(error));
        }
      }),
      { seed: 6, numRuns: 2000 },
    );
  });
});
