import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { AnoleError, type Source } from '@anole/bytes';
import { openErofs } from '@anole/erofs';
import { hostTree } from '@anole/host';
import { MountFlag, mount } from '@anole/host/native';
import { type Descriptor, type Image, openImage, parsePlatform } from '@anole/oci';
import {
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
    await indexAsErofs(image, layout, { span: 64 * 1024, tool: 'test', scratch });
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
  assert.equal(onDemandForm(reference), form === 'rafs over gzip' ? 'rafs' : 'layers');
  const ztocs = Object.keys(reference.ztocs ?? {});
  assert.equal(ztocs.length > 0, form === 'soci' || form === 'erofs index');
  return reference;
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

  it('bring what their command starts with where they say nothing of what is wanted first', async (test) => {
    const directory = temporary(test);
    const place = join(directory, 'layout');
    const raw = new RawLayout(place);
    const tree = new MemoryTree();
    tree.putFile('bin/it', Buffer.from('#!/usr/lib/data with words\n'));
    for (const path of ['usr/lib/data', 'usr/lib/other']) tree.putFile(path, randomBytes(300_000));
    const config = { Cmd: ['it'], Env: ['PATH=/none:/bin'] };
    raw.name(
      raw.image({ platform: 'linux/amd64', config, layers: [{ tar: await tarOf(tree) }] }),
      'a',
    );
    const layout = new LayoutDirectory(place);
    const original = await openImage(layout, await layout.resolve('a'), platform);
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
