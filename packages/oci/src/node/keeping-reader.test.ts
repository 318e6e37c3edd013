import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  type Descriptor,
  type ImageReader,
  mediaTypes,
  openImage,
  parsePlatform,
} from '../index.ts';
import { RawLayout, twoLayers } from '../testing/images.ts';
import { temporary } from '../testing/tools.ts';
import {
  chunkedVariant,
  convertImage,
  ImageStore,
  KeepingReader,
  LayoutDirectory,
  type VariantFormat,
} from './index.ts';

const SIZE = 3 * 2 ** 20;

/** A layout as something that gives chunk by chunk, and may give wrong ones. */
function world(
  test: TestContext,
  spoil: (at: number, chunk: Uint8Array) => Uint8Array = (_, all) => all,
) {
  const directory = temporary(test);
  const raw = new RawLayout(join(directory, 'raw'));
  const layout = new LayoutDirectory(raw.directory);
  const given = new Map<string, number>();
  const from: ImageReader = {
    name: 'from',
    resolve: (selector) => layout.resolve(selector),
    manifest: (descriptor) => layout.manifest(descriptor),
    async *blob(descriptor, { start = 0, signal } = {}) {
      let at = start;
      for await (const chunk of layout.blob(descriptor, { start })) {
        for (let next = 0; next < chunk.length; next += 65_536) {
          await new Promise((resolve) => setImmediate(resolve));
          signal?.throwIfAborted();
          const part = chunk.subarray(next, next + 65_536);
          given.set(descriptor.digest, (given.get(descriptor.digest) ?? 0) + part.length);
          yield spoil(at, part);
          at += part.length;
        }
      }
    },
  };
  const store = new ImageStore(join(directory, 'store'));
  const partial = join(directory, 'store/content/partial');
  const left = () => (existsSync(partial) ? readdirSync(partial) : []);
  return { directory, raw, from, store, given, partial, left };
}

async function all(reader: ImageReader, descriptor: Descriptor): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of reader.blob(descriptor)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('a reader that keeps what it reads', () => {
  it('gives bytes while they come, once, and the next blob comes meanwhile', async (test) => {
    const { raw, from, store, given } = world(test);
    const contents = [randomBytes(SIZE), randomBytes(SIZE), Buffer.from('small')];
    const blobs = contents.map((bytes) => raw.blob(mediaTypes.layer, bytes));
    await using reader = new KeepingReader(from, store);
    reader.expect(blobs);
    const [first] = blobs;
    const met: Uint8Array[] = [];
    for await (const chunk of reader.blob(first!)) {
      if (met.length === 0) assert.ok(given.get(first!.digest)! < SIZE / 2);
      met.push(chunk);
    }
    assert.ok(Buffer.concat(met).equals(contents[0]!));
    assert.ok(given.get(blobs[1]!.digest)! > 0);
    for (const [at, blob] of blobs.entries()) {
      assert.ok((await all(reader, blob)).equals(contents[at]!));
      assert.ok(await store.has(blob));
      assert.equal(given.get(blob.digest), blob.size);
    }
  });

  it('goes on from what an earlier attempt left', async (test) => {
    const { raw, from, store, given, partial } = world(test);
    const bytes = randomBytes(SIZE);
    const blob = raw.blob(mediaTypes.layer, bytes);
    mkdirSync(partial, { recursive: true });
    writeFileSync(join(partial, blob.digest.slice(7)), bytes.subarray(0, 2_000_000));
    await using reader = new KeepingReader(from, store);
    assert.ok((await all(reader, blob)).equals(bytes));
    assert.equal(given.get(blob.digest), SIZE - 2_000_000);
  });

  it('keeps nothing of a blob with another digest, read or fetched ahead', async (test) => {
    const spoil = (at: number, chunk: Uint8Array) =>
      at === 0 ? chunk.map((byte) => byte ^ 1) : chunk;
    const { raw, from, store, left } = world(test, spoil);
    const blobs = [1, 2].map(() => raw.blob(mediaTypes.layer, randomBytes(SIZE)));
    await using reader = new KeepingReader(from, store);
    reader.expect(blobs);
    for (const blob of blobs) {
      await assert.rejects(all(reader, blob), { code: 'OCI_WRONG_CONTENT' });
      assert.ok(!(await store.has(blob)));
    }
    assert.deepEqual(left(), []);
  });

  it('stops when nobody reads on, and can be asked again', async (test) => {
    const { raw, from, store, given } = world(test);
    const bytes = randomBytes(SIZE);
    const blob = raw.blob(mediaTypes.layer, bytes);
    await using reader = new KeepingReader(from, store);
    for await (const _ of reader.blob(blob)) break;
    assert.ok(given.get(blob.digest)! < SIZE);
    assert.ok(!(await store.has(blob)));
    assert.ok((await all(reader, blob)).equals(bytes));
  });

  it('gives ranges', async (test) => {
    const { raw, from, store } = world(test);
    const bytes = randomBytes(SIZE);
    const blob = raw.blob(mediaTypes.layer, bytes);
    await using reader = new KeepingReader(from, store);
    for (let time = 0; time < 2; time++) {
      const met: Uint8Array[] = [];
      for await (const chunk of reader.blob(blob, { start: 70_000, end: 700_001 })) met.push(chunk);
      assert.ok(Buffer.concat(met).equals(bytes.subarray(70_000, 700_001)));
    }
  });

  it('has each layer converted before the next has come', { timeout: 600_000 }, async (test) => {
    const { directory, raw, from } = world(test);
    const made = raw.image({ layers: (await twoLayers()).map((tar) => ({ tar })) });
    const image = await openImage(from, made, parsePlatform('riscv64'));
    const [lower, upper] = image.manifest.layers;
    const converted = Promise.withResolvers<void>();
    const late: ImageReader = {
      ...from,
      async *blob(descriptor, options) {
        if (descriptor.digest === upper!.digest) await converted.promise;
        yield* from.blob(descriptor, options);
      },
    };
    await using reader = new KeepingReader(late, new ImageStore(join(directory, 'kept')));
    reader.expect([lower!, upper!]);
    const inner = chunkedVariant('estargz');
    const format: VariantFormat = {
      ...inner,
      write(staging, options, config) {
        const writer = inner.write(staging, options, config);
        return {
          ...writer,
          async layer(archive) {
            await writer.layer?.(archive);
            converted.resolve();
          },
        };
      },
    };
    const target = new ImageStore(join(directory, 'target'));
    const variant = await convertImage({ ...image, reader }, target, format, {
      scratch: directory,
    });
    assert.ok(await target.has(variant));
  });

  it('converts an image while it comes; of a damaged one nothing appears', async (test) => {
    for (const isDamaged of [false, true]) {
      let digests: string[] = [];
      const spoil = (_: number, chunk: Uint8Array) =>
        isDamaged && digests.length > 0 && chunk.length > 100
          ? chunk.map((byte, at) => (at === 80 ? byte ^ 1 : byte))
          : chunk;
      const { directory, raw, from, store, left } = world(test, spoil);
      const tars = await twoLayers();
      const made = raw.image({ layers: tars.map((tar) => ({ tar })) });
      raw.name(made, 'one');
      await using reader = new KeepingReader(from, store);
      const image = await openImage(reader, made, parsePlatform('riscv64'));
      digests = image.manifest.layers.map(({ digest }) => digest);
      reader.expect(image.manifest.layers);
      const target = new ImageStore(join(directory, 'target'));
      const converting = convertImage(image, target, chunkedVariant('estargz'), {
        scratch: directory,
      });
      if (isDamaged) await assert.rejects(converting, /OCI_|Cannot/);
      else await converting;
      for (const layer of image.manifest.layers) assert.equal(await store.has(layer), !isDamaged);
      assert.deepEqual(left(), []);
      if (isDamaged) assert.ok(!existsSync(join(directory, 'target/content/sha256')));
    }
  });
});
