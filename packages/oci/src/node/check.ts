import { createHash } from 'node:crypto';
import { AnoleError, type CallOptions } from '@anole/bytes';
import { applyLayer, MemoryTree } from '@anole/vfs';
import { type ImageReader, type ManifestDocument, readConfig, readGraph } from '../content.ts';
import type { Descriptor } from '../manifest.ts';
import { isConfigType, layerCompression } from '../media-types.ts';
import { formatPlatform } from '../platform.ts';
import { decompress } from './decompress.ts';
import { DEFAULT_MAX_LAYER } from './layers.ts';

/** Something that is wrong with an image. */
export interface ImageFinding {
  readonly code: string;
  readonly message: string;
  /** Of the manifest, configuration or layer. */
  readonly digest: string;
  /** Of the image that it belongs to. */
  readonly platform?: string;
}

export interface ImageCheck {
  readonly findings: readonly ImageFinding[];
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
}

/**
 * Reads all of an image: manifests, configurations and layers against their digests and sizes, layers
 * also against the digests of what they decompress to, and as archives that can be applied one upon
 * another. What cannot be found is a finding, too.
 *
 * @throws OciError where the root itself cannot be read
 */
export async function checkImage(
  reader: ImageReader,
  root: Descriptor,
  options: CallOptions & { wanted?(descriptor: Descriptor): boolean } = {},
): Promise<ImageCheck> {
  const checker = new Checker(reader, options);
  const documents = await readGraph(reader, root, options);
  for (const document of documents) await checker.document(document);
  const { findings, blobs, bytes } = checker;
  return { findings, manifests: documents.length, blobs, bytes };
}

class Checker {
  readonly findings: ImageFinding[] = [];
  blobs = 0;
  bytes = 0;
  private readonly reader: ImageReader;
  private readonly options: CallOptions;

  constructor(reader: ImageReader, options: CallOptions) {
    this.reader = reader;
    this.options = options;
  }

  async document({ content, descriptor }: ManifestDocument): Promise<void> {
    if (content.kind === 'index') return;
    const platform = descriptor.platform && formatPlatform(descriptor.platform);
    const found = await this.attempt(content.config, platform, async () => {
      // An artifact's configuration is its own affair.
      if (!isConfigType(content.config.mediaType)) return this.whole(content.config);
      this.blobs++;
      return readConfig(this.reader, content.config, this.options);
    });
    const diffIds = found?.diffIds;
    if (diffIds && diffIds.length !== content.layers.length) {
      const message = `${content.layers.length} layers for ${diffIds.length} digests`;
      this.findings.push(findingOf('OCI_BAD_MANIFEST', message, descriptor, platform));
    }
    const tree = new MemoryTree();
    for (const [at, layer] of content.layers.entries()) {
      await this.attempt(layer, platform, () => this.layer(layer, diffIds?.[at], tree));
    }
  }

  private async layer(layer: Descriptor, diffId: string | undefined, tree: MemoryTree) {
    const compression = layerCompression(layer.mediaType);
    if (compression === undefined) return this.whole(layer);
    const inner = createHash('sha256');
    const stream = decompress(this.verified(layer), compression, DEFAULT_MAX_LAYER);
    async function* hashed(): AsyncGenerator<Uint8Array> {
      for await (const chunk of stream) {
        inner.update(chunk);
        yield chunk;
      }
    }
    const nothing = { size: 0, read: () => new Uint8Array(0) };
    await applyLayer(tree, hashed(), { ...this.signal(), store: () => nothing });
    const met = `sha256:${inner.digest('hex')}`;
    if (diffId?.startsWith('sha256:') && met !== diffId) {
      throw new AnoleError(
        'OCI_WRONG_CONTENT',
        `decompressed it has the digest ${met} instead of ${diffId}`,
      );
    }
    return undefined;
  }

  private async whole(blob: Descriptor): Promise<undefined> {
    for await (const _ of this.verified(blob));
  }

  private async *verified(blob: Descriptor): AsyncGenerator<Uint8Array> {
    this.blobs++;
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of this.reader.blob(blob, this.signal())) {
      hash.update(chunk);
      size += chunk.length;
      this.bytes += chunk.length;
      this.options.onProgress?.({ step: 'check', done: this.bytes, unit: 'bytes' });
      yield chunk;
    }
    const met = `sha256:${hash.digest('hex')}`;
    if (size === blob.size && met === blob.digest) return;
    const why = size === blob.size ? `the digest ${met}` : `${size} bytes instead of ${blob.size}`;
    throw new AnoleError('OCI_WRONG_CONTENT', `it has ${why}`);
  }

  private async attempt<T>(
    descriptor: Descriptor,
    platform: string | undefined,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.options.signal?.throwIfAborted();
      if (!AnoleError.is(error)) throw error;
      this.findings.push(findingOf(error.code, error.message, descriptor, platform));
      return undefined;
    }
  }

  private signal() {
    return this.options.signal ? { signal: this.options.signal } : {};
  }
}

export function findingOf(
  code: string,
  message: string,
  { digest }: Descriptor,
  platform: string | undefined,
): ImageFinding {
  return { code, message, digest, ...(platform !== undefined && { platform }) };
}
