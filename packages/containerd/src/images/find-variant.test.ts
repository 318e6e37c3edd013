import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Descriptor,
  type Digest,
  describe as descriptorOf,
  encodeManifest,
  type ImageReader,
  mediaTypes,
  type Platform,
  readManifest,
} from '@anole/oci';
import { chainIdsOf } from './chain-ids.ts';
import { imagesWithVariants } from './find-variant.ts';

const here: Platform = { os: 'linux', architecture: 'amd64' };
const arm: Platform = { os: 'linux', architecture: 'arm64' };
const digest = (name: string): Digest =>
  `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0')}`;

/** A registry in memory that counts what is read of it. */
class Counted {
  readonly reads = new Map<string, number>();
  /** Reads at once, at most. */
  most = 0;
  readonly #bytes = new Map<string, Uint8Array>();
  #now = 0;

  readonly reader: ImageReader = {
    name: 'counted',
    resolve: () => Promise.reject(new Error('nothing has a name')),
    manifest: (descriptor) => this.#read(descriptor),
    blob: (descriptor) => this.#blob(descriptor),
  };

  async add(mediaType: string, document: object): Promise<Descriptor> {
    return await this.put(mediaType, new TextEncoder().encode(JSON.stringify(document)));
  }

  async put(mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
    const descriptor = await descriptorOf(mediaType, bytes);
    this.#bytes.set(descriptor.digest, bytes);
    return descriptor;
  }

  /** A manifest, whose layers have tables of contents where it loads on demand. */
  async image(name: string, loads: boolean, diffIds = [digest('layer')]): Promise<Descriptor> {
    const config = await this.add(mediaTypes.config, { ...here, rootfs: { diff_ids: diffIds } });
    const toc = { 'containerd.io/snapshot/stargz/toc.digest': digest('toc') };
    const layers = diffIds.map((layer) => ({
      mediaType: mediaTypes.layerGzip,
      digest: layer,
      size: 1,
      ...(loads && { annotations: toc }),
    }));
    const document = { kind: 'manifest', mediaType: mediaTypes.manifest, config, layers } as const;
    const bytes = encodeManifest({ ...document, annotations: { name } });
    return await this.put(mediaTypes.manifest, bytes);
  }

  async find(manifests: readonly Descriptor[]) {
    const mediaType = mediaTypes.index;
    const bytes = encodeManifest({ kind: 'index', mediaType, manifests });
    const root = await readManifest(this.reader, await this.put(mediaType, bytes));
    this.reads.clear();
    return await imagesWithVariants(this.reader, root, here);
  }

  async #read({ digest }: Descriptor): Promise<Uint8Array> {
    this.reads.set(digest, (this.reads.get(digest) ?? 0) + 1);
    this.most = Math.max(this.most, ++this.#now);
    // Who reads together has begun by then.
    await new Promise(setImmediate);
    this.#now--;
    return this.#bytes.get(digest)!;
  }

  async *#blob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    yield await this.#read(descriptor);
  }
}

describe('variants of an index', () => {
  it('are paired with the originals of their platform, and with themselves', async () => {
    const registry = new Counted();
    const plain = await registry.image('plain', false, [digest('a'), digest('b')]);
    const other = await registry.image('other', false, [digest('c')]);
    const variant = await registry.image('variant', true, [digest('d')]);
    const pairs = await registry.find([
      { ...plain, platform: here },
      { ...other, platform: arm },
      { ...variant, platform: { ...here, features: ['erofs'] } },
    ]);
    assert.deepEqual(pairs, [
      {
        original: plain.digest,
        variant: variant.digest,
        chainIds: chainIdsOf([digest('a'), digest('b')]),
      },
      { original: variant.digest, variant: variant.digest, chainIds: [digest('d')] },
    ]);
  });

  it('are taken once, and are bounded, however many an index lists', async () => {
    const registry = new Counted();
    const manifests: Descriptor[] = [];
    for (let at = 0; at < 400; at++) {
      const image = await registry.image(String(at), true, [digest(String(at))]);
      manifests.push({ ...image, platform: here }, { ...image, platform: here });
    }
    const pairs = await registry.find(manifests);
    assert.equal(new Set(pairs.map(({ variant }) => variant)).size, 64);
    assert.equal(new Set(pairs.map(({ original }) => original)).size, 64);
    // A manifest and a configuration for each.
    assert.equal(registry.reads.size, 128);
    assert.ok([...registry.reads.values()].every((count) => count === 1));
    assert.ok(registry.most <= 8, `${registry.most} at once`);
  });

  it('share a configuration that is read once', async () => {
    const registry = new Counted();
    const manifests: Descriptor[] = [];
    for (let at = 0; at < 20; at++) {
      manifests.push({ ...(await registry.image(String(at), true)), platform: here });
    }
    assert.equal((await registry.find(manifests)).length, 400);
    assert.equal(registry.reads.size, 21);
    assert.ok([...registry.reads.values()].every((count) => count === 1));
  });
});
