import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { AnoleError, type Source } from '@anole/bytes';
import { openErofs } from '@anole/erofs';
import { hostTree } from '@anole/host';
import { MountFlag, mount } from '@anole/host/native';
import { type Descriptor, type Image, openImage, parsePlatform, readManifest } from '@anole/oci';
import {
  bindIndexes,
  chunkedVariant,
  convertImage,
  ImageStore,
  imageTree,
  indexImage,
  LayoutDirectory,
  openBlob,
  Registries,
} from '@anole/oci/node';
import { describeDifferences, findNode, MemoryTree, type Tree } from '@anole/vfs';
import { RawLayout, tarOf, umociImage } from '../../oci/src/testing/images.ts';
import { needs, temporary } from '../../oci/src/testing/tools.ts';
import { BlobCache } from '../src/node/cache/cache.ts';
import { nodeEncoders } from '../src/node/encoders.ts';
import { indexAsErofs } from '../src/node/erofs-index.ts';
import { imageMapOf } from '../src/node/layer-map/image-map.ts';
import { BlobPool } from '../src/node/on-demand/blob-pool.ts';
import { diskOf } from '../src/node/on-demand/disk.ts';
import { findOnDemand, onDemandOf } from '../src/node/on-demand/find.ts';
import {
  type ImageBlobs,
  type OnDemandImage,
  type OnDemandReference,
  onDemandForm,
} from '../src/node/on-demand/image.ts';
import { openOnDemand } from '../src/node/on-demand/open.ts';
import { placeBlobs } from '../src/node/on-demand/place-blobs.ts';
import { rafsReferenceVariant } from '../src/node/reference-variant.ts';
import { EROFS_INDEX_DIGEST } from '../src/node/referrers.ts';
import { rafsVariant } from '../src/node/variant.ts';

/** Images that say themselves how, and images beside which it is said, or of which nobody says it. */
const own = ['estargz', 'zstd:chunked', 'rafs'] as const;
const indexed = ['soci', 'erofs index', 'rafs over gzip', 'plain'] as const;
const forms = [...own, ...indexed] as const;
type Form = (typeof forms)[number];

const platform = parsePlatform('linux/amd64');
const skip = needs('umoci');

/** An image of three layers with whiteouts, made by umoci, in a form that loads on demand. */
async function made(test: TestContext, form: Form) {
  const directory = temporary(test);
  const place = umociImage(directory);
  const layout = new LayoutDirectory(place);
  const original = await openImage(layout, await layout.resolve('made'), platform);
  const image = await inForm(original, layout, form, directory);
  const { descriptor, manifest } = image;
  const reference = await referenceOf(image, form, place);
  const wanted = await imageTree(original, { scratch: directory });
  test.after(() => void wanted.close?.());
  return { directory, layout, reference, wanted, descriptor, layers: manifest.layers };
}

async function inForm(image: Image, layout: LayoutDirectory, form: Form, scratch: string) {
  if (form === 'plain') return image;
  if (form === 'soci') {
    const options = { minLayer: 1000, span: 64 * 1024, tool: 'test' };
    const { descriptor } = await indexImage(image, layout, 'v1', options);
    assert.ok(descriptor);
    await layout.finish();
    return image;
  }
  if (form === 'erofs index') {
    await indexAsErofs(image, layout, image.descriptor, { span: 64 * 1024, tool: 'test' });
    await layout.finish();
    return image;
  }
  if (form === 'rafs over gzip') {
    const variant = rafsReferenceVariant(image, { encoders: nodeEncoders(), chunkSize: 65_536 });
    await convertImage(image, layout, variant, { scratch, subject: image.descriptor });
    await layout.finish();
    return image;
  }
  const format =
    form === 'rafs'
      ? rafsVariant({ encoders: nodeEncoders(), chunkSize: 65_536 })
      : chunkedVariant(form);
  const converted = await convertImage(image, layout, format, { scratch, tag: form });
  return await openImage(layout, converted, platform);
}

async function referenceOf(image: Image, form: Form, place: string): Promise<OnDemandReference> {
  const { reader, descriptor, manifest } = image;
  const document = { descriptor, content: manifest };
  const found = await onDemandOf(form, reader, document);
  if (!indexed.some((each) => each === form)) return found ?? assert.fail('it says nothing');
  assert.equal(found, undefined, 'what anybody can put there is not believed');
  using registries = await Registries.load();
  const around = { registries, store: new ImageStore(join(place, '../store')) };
  const reference = await findOnDemand(`indexed:oci:${place}:made`, platform, around);
  const kinds = { 'rafs over gzip': 'rafs', 'erofs index': 'mapped' } as const;
  assert.equal(onDemandForm(reference), kinds[form as keyof typeof kinds] ?? 'layers');
  assert.equal(Object.keys(reference.ztocs ?? {}).length > 0, form === 'soci');
  return reference;
}

/** The index of an image of the lowest layer alone. */
async function other(layout: LayoutDirectory, { layers }: OnDemandReference) {
  const original = await openImage(layout, await layout.resolve('made'), platform);
  const manifest = { ...original.manifest, layers: layers.slice(0, 1) };
  const options = { span: 64 * 1024, tool: 'test' };
  const index = await indexAsErofs({ ...original, manifest }, layout, undefined, options);
  const { content } = await readManifest(layout, index);
  assert.ok(content.kind === 'manifest');
  return { lowest: imageMapOf(content, manifest)!, manifest: original.manifest };
}

interface Far extends ImageBlobs {
  bytes: number;
  mode: 'well' | 'down' | 'lying';
}

function far(layout: LayoutDirectory): Far {
  return {
    bytes: 0,
    mode: 'well',
    source(blob: Descriptor): Source {
      const source = openBlob(layout, blob);
      return {
        size: source.size,
        read: async (offset, length) => {
          if (this.mode === 'down') throw new Error('nobody is there');
          this.bytes += length;
          const bytes = new Uint8Array(await source.read(offset, length));
          if (this.mode === 'lying') bytes[length >> 1]! ^= 1;
          return bytes;
        },
        close: () => source.close?.(),
      };
    },
  };
}

const poolIn = (directory: string) => new BlobPool(new BlobCache(join(directory, 'cache')));

async function assertSame(found: Tree, wanted: Tree): Promise<void> {
  assert.equal(await describeDifferences(found, wanted), '');
}

async function readFile(image: OnDemandImage, path: string): Promise<string> {
  const node = (await findNode(image.tree, path))!;
  return Buffer.from(await node.read(0, node.stat.size)).toString('latin1');
}

describe('images that load on demand', { skip }, () => {
  for (const form of forms) {
    it(`have the files of their layers: ${form}`, async (test) => {
      const { directory, layout, reference, wanted } = await made(test, form);
      const image = await openOnDemand(reference, far(layout), poolIn(directory));
      await assertSame(image.tree, wanted);
      // All of it in one, as clients of NBD get it: then nobody has to know of devices.
      const disk = await openErofs(diskOf(image.tree, image.blobs));
      await assertSame(disk, wanted);
      await image.close();
    });

    it(`are mounted by the kernel: ${form}`, { skip: needs('root') }, async (test) => {
      const { directory, layout, reference, wanted } = await made(test, form);
      const image = await openOnDemand(reference, far(layout), poolIn(directory));
      for (const blob of image.blobs) await blob.ensure(0, blob.size);
      const point = join(directory, 'point');
      mkdirSync(point);
      const [main, ...devices] = image.blobs;
      const options = devices.map(({ path }) => `device=${path}`).join(',');
      try {
        mount(main!.path, point, 'erofs', MountFlag.readOnly, options);
        using tree = hostTree(point, { xattrs: true });
        await assertSame(tree, wanted);
      } finally {
        spawnSync('umount', [point]);
        await image.close();
      }
    });

    it(`go on without who serves them, as far as they are here: ${form}`, async (test) => {
      const { directory, layout, reference } = await made(test, form);
      const first = await openOnDemand(reference, far(layout), poolIn(directory));
      assert.equal(await readFile(first, 'etc/three'), 'three\n');
      const ids = first.blobs.map(({ id }) => id);
      await first.close();
      const from = far(layout);
      from.mode = 'down';
      const again = await openOnDemand(reference, from, poolIn(directory));
      assert.deepEqual(
        again.blobs.map(({ id }) => id),
        ids,
      );
      assert.equal(await readFile(again, 'etc/three'), 'three\n');
      if (form !== 'plain')
        await assert.rejects(readFile(again, 'usr/lib/data'), /nobody is there/);
      from.mode = 'well';
      assert.equal((await readFile(again, 'usr/lib/data')).length, 300_000);
      await again.close();
    });

    it(`never have wrong bytes, and come once the right ones do: ${form}`, async (test) => {
      const { directory, layout, reference, wanted } = await made(test, form);
      const from = far(layout);
      from.mode = 'lying';
      const pool = poolIn(directory);
      await assert.rejects(openOnDemand(reference, from, pool), (error) => AnoleError.is(error));
      from.mode = 'well';
      const image = await openOnDemand(reference, from, pool);
      from.mode = 'lying';
      const data = readFile(image, 'usr/lib/data');
      if (form !== 'plain') await assert.rejects(data, (error) => AnoleError.is(error));
      else await data;
      from.mode = 'well';
      await assertSame(image.tree, wanted);
      await image.close();
    });
  }

  for (const form of ['estargz', 'rafs'] as const) {
    it(`bring what they say will be wanted first: ${form}`, async (test) => {
      const directory = temporary(test);
      const layout = new LayoutDirectory(umociImage(directory));
      const original = await openImage(layout, await layout.resolve('made'), platform);
      const first = ['usr/lib/data'];
      const format =
        form === 'rafs'
          ? rafsVariant({ encoders: nodeEncoders(), chunkSize: 65_536, prefetch: first })
          : chunkedVariant(form, { prioritized: first });
      const converted = await convertImage(original, layout, format, { scratch: directory });
      const { reader, descriptor, manifest } = await openImage(layout, converted, platform);
      const reference = await onDemandOf(form, reader, { descriptor, content: manifest });
      const from = far(layout);
      const image = await openOnDemand(reference!, from, poolIn(directory));
      const present = () => image.blobs.slice(1).reduce((sum, blob) => sum + blob.present, 0);
      while (present() < 300_000) await setImmediate();
      from.mode = 'down';
      assert.equal((await readFile(image, 'usr/lib/data')).length, 300_000);
      await assert.rejects(readFile(image, 'etc/three'), /nobody is there/);
      await image.close();
    });
  }

  /** An image of which each span refers to what comes before it, with its index. */
  async function ofWords(test: TestContext) {
    const directory = temporary(test);
    const place = join(directory, 'layout');
    const raw = new RawLayout(place);
    const wanted = new MemoryTree();
    const words = Array.from({ length: 60_000 }, (_, at) => `word${(at * at) % 4999}\n`);
    wanted.putFile('words', Buffer.from(words.join('')));
    raw.name(raw.image({ platform: 'linux/amd64', layers: [{ tar: await tarOf(wanted) }] }), 'a');
    const layout = new LayoutDirectory(place);
    const image = await openImage(layout, await layout.resolve('a'), platform);
    const options = { tool: 'test', span: 64 * 1024 };
    const index = await indexAsErofs(image, layout, undefined, options);
    const { content } = await readManifest(layout, index);
    assert.ok(content.kind === 'manifest');
    const { layers } = image.manifest;
    const reference = { name: 'it', layers, map: imageMapOf(content, image.manifest)! };
    return { directory, layout, reference, wanted };
  }

  /** An image whose command is a script, with its interpreter and another file. */
  async function commanded(test: TestContext) {
    const directory = temporary(test);
    const place = join(directory, 'layout');
    const raw = new RawLayout(place);
    const tree = new MemoryTree();
    tree.putFile('bin/it', Buffer.from('#!/usr/lib/data with words\n'));
    for (const path of ['usr/lib/data', 'usr/lib/other']) tree.putFile(path, randomBytes(300_000));
    const config = { Cmd: ['it'], Env: ['PATH=/none:/bin'] };
    const layers = [{ tar: await tarOf(tree) }];
    raw.name(raw.image({ platform: 'linux/amd64', config, layers }), 'a');
    const layout = new LayoutDirectory(place);
    const original = await openImage(layout, await layout.resolve('a'), platform);
    return { directory, layout, original };
  }

  it('bring what their command starts with where they say nothing of what is wanted first', async (test) => {
    const { directory, layout, original } = await commanded(test);
    const options = { scratch: directory };
    const converted = await convertImage(original, layout, chunkedVariant('estargz'), options);
    const { reader, descriptor, manifest } = await openImage(layout, converted, platform);
    const reference = await onDemandOf('it', reader, { descriptor, content: manifest });
    const from = far(layout);
    const image = await openOnDemand(reference!, from, poolIn(directory));
    const present = () => image.blobs.slice(1).reduce((sum, blob) => sum + blob.present, 0);
    while (present() < 300_000) await setImmediate();
    from.mode = 'down';
    assert.equal((await readFile(image, 'usr/lib/data')).length, 300_000);
    await assert.rejects(readFile(image, 'usr/lib/other'), /nobody is there/);
    await image.close();
  });

  for (const [what, trace, first, other] of [
    ['their command', undefined, 'usr/lib/data', 'usr/lib/other'],
    [
      'what was traced',
      [{ path: 'usr/lib/other', offset: 0, length: 300_000 }],
      'usr/lib/other',
      'usr/lib/data',
    ],
  ] as const) {
    it(`bring first what their index as EROFS names: ${what}`, async (test) => {
      const { directory, layout, original } = await commanded(test);
      const options = { tool: 'test', span: 64 * 1024, ...(trace && { trace }) };
      const index = await indexAsErofs(original, layout, undefined, options);
      const names = new Map([[EROFS_INDEX_DIGEST, index]]);
      const bound = await bindIndexes(original, names, layout, 'bound');
      const { reader, descriptor, manifest } = await openImage(layout, bound, platform);
      const reference = await onDemandOf('it', reader, { descriptor, content: manifest });
      assert.equal(onDemandForm(reference!), 'mapped');
      const from = far(layout);
      const image = await openOnDemand(reference!, from, poolIn(directory));
      const present = () => image.blobs.slice(1).reduce((sum, blob) => sum + blob.present, 0);
      while (present() < 300_000) await setImmediate();
      from.mode = 'down';
      assert.equal((await readFile(image, first)).length, 300_000);
      await assert.rejects(readFile(image, other), /nobody is there/);
      await image.close();
    });
  }

  it('take windows from whoever gives right ones', async (test) => {
    const { directory, layout, reference, wanted } = await ofWords(test);
    const windows = Object.values(reference.map!.layers).flatMap(({ windows: each }) => each ?? []);
    assert.ok(windows.length > 0);
    const digests = new Set(windows.map(({ digest }) => digest));
    let lies = 0;
    for (const lie of [new Uint8Array(9), zstdCompressSync(new Uint8Array(32_768).fill(7))]) {
      let isTrue = false;
      const near = far(layout);
      const from: ImageBlobs = {
        source(blob) {
          const source = near.source(blob);
          if (!digests.has(blob.digest)) return source;
          const read: Source['read'] = async (offset, length) => {
            if (isTrue) return source.read(offset, length);
            lies++;
            return lie;
          };
          return { ...source, read };
        },
        distrust: () => {
          isTrue = true;
        },
      };
      const pool = poolIn(join(directory, String(lies)));
      const image = await openOnDemand(reference, from, pool);
      await assertSame(image.tree, wanted);
      await image.close();
    }
    assert.ok(lies > 1);
  });

  it('are not opened by an index of another image', async (test) => {
    const { directory, layout, reference } = await made(test, 'erofs index');
    const { names, layers } = reference.map!;
    const pool = poolIn(directory);
    const open = (map: OnDemandReference['map'] & {}) =>
      openOnDemand({ ...reference, map }, far(layout), pool);
    const [first, ...others] = Object.entries(layers);
    const swapped = [first![1], ...others.map(([, each]) => each)].reverse();
    const turned = Object.fromEntries(Object.keys(layers).map((key, at) => [key, swapped[at]!]));
    const wrong = { code: 'OCI_BAD_INDEX' };
    await assert.rejects(open({ names, layers: turned }), wrong);
    const { lowest, manifest } = await other(layout, reference);
    await assert.rejects(open({ names: lowest.names, layers }), wrong);
    assert.equal(imageMapOf({ layers: [names] }, manifest), undefined);
    assert.throws(() => imageMapOf({ layers: [] }, manifest), wrong);
    const listed = [names, ...Object.values(layers).map((each) => each.map)];
    assert.deepEqual(Object.keys(imageMapOf({ layers: listed }, manifest)!.layers).length, 3);
    // As of an image that was changed.
    assert.equal(imageMapOf({ layers: listed }, { layers: manifest.layers.slice(1) }), undefined);
    assert.equal(imageMapOf({ layers: listed.slice(0, 3) }, manifest), undefined);
    const tooLarge = { ...names, size: 2 ** 40 };
    await assert.rejects(open({ names: tooLarge, layers }), { code: 'OCI_TOO_LARGE' });
  });

  it('fetch what is read, and what two images share once', async (test) => {
    const { directory, layout, reference, layers } = await made(test, 'estargz');
    const pool = poolIn(directory);
    const from = far(layout);
    const image = await openOnDemand(reference, from, pool);
    const opened = from.bytes;
    assert.equal(await readFile(image, 'etc/three'), 'three\n');
    assert.ok(from.bytes - opened < 1000, `${from.bytes - opened} bytes for six`);
    await readFile(image, 'usr/lib/data');
    const lowest = { name: 'lowest', layers: layers.slice(0, 1) };
    const other = far(layout);
    other.mode = 'down';
    const shared = await openOnDemand(lowest, other, pool);
    assert.equal((await readFile(shared, 'usr/lib/data')).length, 300_000);
    assert.equal(await readFile(shared, 'etc/two').catch(String), 'two\n');
    await image.close();
    await shared.close();
  });

  it('come from a web server by ranges, also past a proxy that lies', async (test) => {
    const { directory } = await made(test, 'estargz');
    let came = 0;
    let lies = 0;
    const host = await listening(test, (asked, answer) => {
      const { pathname } = new URL(asked.url ?? '', 'http://x');
      const bytes = readFileSync(join(directory, pathname));
      const [, from = 0, to = ''] = /^bytes=(\d+)-(\d*)$/.exec(asked.headers.range ?? '') ?? [];
      const part = bytes.subarray(Number(from), to === '' ? undefined : Number(to) + 1);
      const last = Number(from) + part.length - 1;
      answer.writeHead(asked.headers.range ? 206 : 200, {
        'content-length': part.length,
        ...(asked.headers.range && { 'content-range': `bytes ${from}-${last}/${bytes.length}` }),
      });
      // Asked for by its whole address, it is a proxy.
      const isLie =
        asked.url?.startsWith('http') && pathname.includes('/blobs/') && asked.headers.range;
      if (isLie) lies++;
      else came += part.length;
      answer.end(isLie ? part.map((byte, at) => (at === part.length >> 1 ? ~byte : byte)) : part);
    });
    const environment = { ANOLE_IMAGE_PROXY: `http://${host}`, HOME: directory };
    using registries = await Registries.load({ environment });
    const around = { registries, store: new ImageStore(directory) };
    const name = `oci+http://${host}/umoci:estargz`;
    const reference = await findOnDemand(name, platform, around);
    const image = await openOnDemand(reference, placeBlobs(name, around), poolIn(directory));
    assert.ok(lies > 0);
    assert.equal(await readFile(image, 'etc/three'), 'three\n');
    assert.ok(came < 30_000, `${came} bytes came`);
    assert.equal((await readFile(image, 'usr/lib/data')).length, 300_000);
    assert.ok(came > 300_000);
    await image.close();
  });
});

async function listening(test: TestContext, handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  test.after(() => server.close().closeAllConnections());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
