import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  copyImage,
  type Descriptor,
  type ImageReader,
  mediaTypes,
  OciError,
  openImage,
  parsePlatform,
  readGraph,
  readManifest,
} from '../index.ts';
import { type FakeRegistry, fakeRegistry, type Trick } from '../testing/fake-registry.ts';
import { RawLayout, sha256, twoLayers } from '../testing/images.ts';
import { temporary } from '../testing/tools.ts';
import { checkImage, ImageStore, LayoutDirectory } from './index.ts';

const platform = parsePlatform('linux/riscv64');

function indexOf(manifests: readonly Descriptor[]): Uint8Array {
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests };
  return new Uint8Array(Buffer.from(JSON.stringify(index)));
}

function described(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: sha256(bytes), size: bytes.length };
}

/** Documents in memory, by their digests. */
function readerOf(documents: ReadonlyMap<string, Uint8Array>): ImageReader {
  return {
    name: 'a test',
    manifest: async ({ digest }: Descriptor) => documents.get(digest)!,
  } as unknown as ImageReader;
}

describe('indexes', () => {
  it('that point at themselves are not followed', async (test) => {
    // Nothing has its own digest in it, so it takes a registry that lies.
    const size = indexOf([
      { mediaType: mediaTypes.index, digest: sha256(indexOf([])), size: 1000 },
    ]);
    const own: Descriptor = {
      mediaType: mediaTypes.index,
      digest: `sha256:${'5'.repeat(64)}`,
      size: size.length,
    };
    const bytes = indexOf([own]);
    const fake = await fakeRegistry(test, (request, response) => {
      if (!request.url?.includes('/manifests/')) return false;
      response.writeHead(200, {
        'content-type': mediaTypes.index,
        'content-length': bytes.length,
        'docker-content-digest': own.digest,
      });
      response.end(request.method === 'HEAD' ? undefined : bytes);
      return true;
    });
    const store = new ImageStore(join(temporary(test), 'store'));
    const code = 'OCI_WRONG_CONTENT';
    const descriptor = { ...own, size: bytes.length };
    await assert.rejects(readManifest(fake.repository(), descriptor), { code });
    for (const selector of [own.digest, 'latest']) {
      await assert.rejects(copyImage(fake.repository(), store, { selector }), { code });
    }
    assert.ok(fake.asked.length < 10, fake.asked.join('\n'));
  });

  it('that nest without end are refused, wherever they are read', async (test) => {
    const raw = new RawLayout(join(temporary(test), 'raw'));
    let inner = raw.image({ layers: [{ tar: (await twoLayers())[0]! }] });
    for (let depth = 0; depth < 6; depth++) {
      inner = raw.json(mediaTypes.index, JSON.parse(Buffer.from(indexOf([inner])).toString()));
    }
    raw.name(inner, 'deep');
    const layout = new LayoutDirectory(raw.directory);
    const root = await layout.resolve('deep');
    const store = new ImageStore(join(temporary(test), 'store'));
    const code = 'OCI_BAD_MANIFEST';
    await assert.rejects(openImage(layout, root, platform), { code });
    await assert.rejects(checkImage(layout, root), { code });
    await assert.rejects(copyImage(layout, store, { selector: 'deep', tag: 'a.b/c:1' }), { code });
    assert.deepEqual(await store.list(), []);
  });

  it('that name one image a thousand times have it once', async (test) => {
    const raw = new RawLayout(join(temporary(test), 'raw'));
    const image = raw.image({ layers: [{ tar: (await twoLayers())[0]! }] });
    const many = Array.from({ length: 1000 }, () => image);
    raw.name(raw.json(mediaTypes.index, JSON.parse(Buffer.from(indexOf(many)).toString())), 'many');
    const layout = new LayoutDirectory(raw.directory);
    assert.equal((await readGraph(layout, await layout.resolve('many'))).length, 2);
    const store = new ImageStore(join(temporary(test), 'store'));
    const { present } = await copyImage(layout, store, { selector: 'many', tag: 'a.b/c:1' });
    assert.equal(present, 0);
  });

  it('that lead to more manifests than an image has are refused before they fill the memory', async () => {
    const documents = new Map<string, Uint8Array>();
    const put = (bytes: Uint8Array) => {
      const descriptor = described(mediaTypes.index, bytes);
      documents.set(descriptor.digest, bytes);
      return descriptor;
    };
    const leaf = (number: number) =>
      put(indexOf([{ mediaType: `a/${number}`, digest: sha256(new Uint8Array(1)), size: 1 }]));
    const wide = Array.from({ length: 102 }, (_, at) =>
      put(indexOf(Array.from({ length: 100 }, (_, inner) => leaf(at * 100 + inner)))),
    );
    const code = 'OCI_TOO_LARGE';
    await assert.rejects(readGraph(readerOf(documents), put(indexOf(wide))), { code });
    // Few, and large.
    const padding = ' '.repeat(4_000_000);
    const large = Array.from({ length: 20 }, (_, at) =>
      put(Buffer.from(padding + Buffer.from(indexOf([leaf(at)])).toString())),
    );
    await assert.rejects(readGraph(readerOf(documents), put(indexOf(large))), { code });
  });
});

/** An image of two layers in a fake registry, one larger than what passes by Node's parser. */
function publish(fake: FakeRegistry): Descriptor {
  const put = (mediaType: string, bytes: Uint8Array) => {
    const descriptor = described(mediaType, bytes);
    fake.blobs.set(descriptor.digest, bytes);
    return descriptor;
  };
  const json = (mediaType: string, value: unknown) =>
    put(mediaType, Buffer.from(JSON.stringify(value)));
  const layers = [2_500_000, 70_000].map((size) =>
    put(mediaTypes.layer, new Uint8Array(randomBytes(size))),
  );
  const config = json(mediaTypes.config, {
    os: 'linux',
    architecture: 'riscv64',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers };
  return json(mediaTypes.manifest, manifest);
}

/** What a registry does to the answer for a blob. */
const tricks: Readonly<Record<string, (bytes: Uint8Array) => Trick>> = {
  'ends before its length': (bytes) => (_request, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
    return true;
  },
  'is shorter than it should be': (bytes) => (_request, response) => {
    response.writeHead(200, { 'content-length': bytes.length - 1 });
    response.end(bytes.subarray(1));
    return true;
  },
  'says a length that is not its own': (bytes) => (_request, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.socket!.end(Buffer.concat([bytes.subarray(0, 40_000), Buffer.from('HTTP/1.1 200')]));
    return true;
  },
  'goes on behind its end': (bytes) => (_request, response) => {
    response.writeHead(200);
    response.end(Buffer.concat([bytes, new Uint8Array(1000)]));
    return true;
  },
  'has another byte': (bytes) => (request, response) => {
    const wrong = Uint8Array.from(bytes);
    wrong[wrong.length >> 1]! ^= 1;
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': bytes.length - start,
      ...(start > 0 && { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    response.end(wrong.subarray(start));
    return true;
  },
  'is an error': () => (_request, response) => {
    response.writeHead(503).end();
    return true;
  },
  'is not allowed': () => (_request, response) => {
    response.writeHead(403).end();
    return true;
  },
  'is elsewhere and elsewhere': () => (request, response) => {
    response.writeHead(307, { location: request.url ?? '' }).end();
    return true;
  },
  'never comes': () => () => true,
};

describe('a pull from a registry where a blob', () => {
  for (const [what, trickOf] of Object.entries(tricks)) {
    it(`${what} fails by a code, leaves the store sound, and succeeds later`, async (test) => {
      const state: { target: string; trick: Trick | undefined } = { target: '', trick: undefined };
      const fake = await fakeRegistry(test, (request, response, self) => {
        const isIt = request.method === 'GET' && request.url?.endsWith(state.target);
        return isIt && state.trick ? state.trick(request, response, self) : false;
      });
      const image = publish(fake);
      const { layers } = JSON.parse(Buffer.from(fake.blobs.get(image.digest)!).toString());
      for (const { digest } of layers as Descriptor[]) {
        const store = new ImageStore(join(temporary(test), 'store'));
        state.target = digest;
        state.trick = trickOf(fake.blobs.get(digest)!);
        const options = { selector: image.digest, tag: 'host.example/a:1' };
        const pulling = copyImage(fake.repository({ retries: 1, stall: 300 }), store, options);
        await assert.rejects(pulling, (error) => error instanceof OciError);
        assert.deepEqual(await store.list(), [], 'nothing has a name');
        assert.equal(await store.has({ mediaType: '', digest, size: size(fake, digest) }), false);
        expectSound(store);
        state.trick = undefined;
        await copyImage(fake.repository(), store, options);
        expectSound(store);
        assert.equal((await store.list()).length, 1);
        for (const each of layers as Descriptor[]) assert.ok(await store.has(each));
      }
    });
  }
});

function size(fake: FakeRegistry, digest: string): number {
  return fake.blobs.get(digest)!.length;
}

/** All content has the digest that it is called by. */
function expectSound(store: ImageStore): void {
  const base = join(store.directory, 'content/sha256');
  for (const prefix of existsSync(base) ? readdirSync(base) : []) {
    for (const rest of readdirSync(join(base, prefix))) {
      const hash = createHash('sha256').update(readFileSync(join(base, prefix, rest)));
      assert.equal(hash.digest('hex'), prefix + rest);
    }
  }
}
