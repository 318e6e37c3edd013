import { createHash } from 'node:crypto';
import { type CallOptions, checkRange, type Source } from '@anole/bytes';
import { type ScratchFile, scratchFile } from '@anole/host';
import { applyLayer, MemoryTree, type Tree } from '@anole/vfs';
import type { Image, ImageReader } from '../content.ts';
import { OciError } from '../errors.ts';
import type { Descriptor } from '../manifest.ts';
import { layerCompressionOf } from '../media-types.ts';
import { isOfImage } from '../toc/estargz.ts';
import { decompress } from './decompress.ts';

export interface LayersOptions extends CallOptions {
  /** Where decompressed layers wait, in files without names. */
  readonly scratch: string;
  /** Bytes of one layer, decompressed, at most. Default 64 GiB. */
  readonly maxLayer?: number;
  /** Is given each layer, decompressed and verified, before the next is read. It is there until the tree is closed. */
  onLayer?(archive: Source): Promise<void> | undefined;
}

export const DEFAULT_MAX_LAYER = 64 * 2 ** 30;

/**
 * The file system of an image: its layers, decompressed into scratch files and verified, as one
 * Tree, without what only their format needs (`isOfImage`). Closing it frees them.
 *
 * @throws OciError `OCI_WRONG_CONTENT` where a layer is not that of its digests, `OCI_BAD_LAYER`,
 * `OCI_TOO_LARGE`, `OCI_UNSUPPORTED`; TarError, VfsError
 */
export async function imageTree(image: Image, options: LayersOptions): Promise<Tree> {
  const { manifest, config } = image;
  if (manifest.layers.length !== config.diffIds.length) {
    throw new OciError(
      'OCI_BAD_MANIFEST',
      `Cannot use ${image.reader.name}: ${manifest.layers.length} layers for ${config.diffIds.length} digests`,
    );
  }
  const tree = new MemoryTree();
  using applier = new LayerApplier(tree, image, options);
  for (const [at, layer] of manifest.layers.entries()) {
    const archive = await applier.apply(layer, config.diffIds[at]);
    await options.onLayer?.(archive);
  }
  const kept = applier.move();
  return Object.assign(tree, { close: () => kept.dispose() });
}

/** Applies layers to a tree, one after another, decompressed into scratch files that it holds. */
export class LayerApplier implements Disposable {
  private readonly tree: MemoryTree;
  private readonly reader: ImageReader;
  private readonly options: LayersOptions;
  private readonly total: number;
  private readonly scratches = new DisposableStack();
  private done = 0;

  constructor(tree: MemoryTree, { reader, manifest }: Image, options: LayersOptions) {
    this.tree = tree;
    this.reader = reader;
    this.options = options;
    this.total = manifest.layers.reduce((sum, { size }) => sum + size, 0);
  }

  /** Gives the layer, decompressed. */
  async apply(layer: Descriptor, diffId: string | undefined): Promise<Source> {
    const scratch = this.scratches.use(scratchFile(this.options.scratch));
    const { total } = this;
    const onBytes = (bytes: number) => {
      this.done += bytes;
      this.options.onProgress?.({ step: 'unpack layers', done: this.done, total, unit: 'bytes' });
    };
    const stream = verified(this.reader, { layer, diffId, onBytes }, this.options);
    let size = 0;
    const count = (bytes: number) => {
      size += bytes;
    };
    await applyLayer(this.tree, spooled(stream, scratch, count), {
      ...(this.options.signal && { signal: this.options.signal }),
      filter: (entry) => isOfImage(layer, entry),
      store: (entry) => stored(scratch, entry.dataOffset, entry.storedSize),
    });
    return stored(scratch, 0, size);
  }

  /** Hands the scratch files over to whoever needs the tree. */
  move(): DisposableStack {
    return this.scratches.move();
  }

  [Symbol.dispose](): void {
    this.scratches.dispose();
  }
}

interface Opening {
  readonly layer: Descriptor;
  /** Undefined where nobody has said it. */
  readonly diffId: string | undefined;
  onBytes(bytes: number): void;
}

/** A layer's bytes, decompressed; that they were the right ones is known at the end. */
async function* verified(
  reader: ImageReader,
  { layer, diffId, onBytes }: Opening,
  { signal, maxLayer = DEFAULT_MAX_LAYER }: LayersOptions,
): AsyncGenerator<Uint8Array> {
  const compression = layerCompressionOf(layer.mediaType);
  const outer = createHash('sha256');
  const inner = createHash('sha256');
  let length = 0;
  async function* compressed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of reader.blob(layer, signal ? { signal } : {})) {
      length += chunk.length;
      if (length > layer.size) throw wrong(reader, layer, `it has over ${layer.size} bytes`);
      outer.update(chunk);
      onBytes(chunk.length);
      yield chunk;
    }
    const met = `sha256:${outer.digest('hex')}`;
    if (layer.digest.startsWith('sha256:') && met !== layer.digest) {
      throw wrong(reader, layer, `it has the digest ${met}`);
    }
  }
  for await (const chunk of decompress(compressed(), compression, maxLayer)) {
    inner.update(chunk);
    yield chunk;
  }
  const met = `sha256:${inner.digest('hex')}`;
  if (diffId?.startsWith('sha256:') && met !== diffId) {
    throw wrong(reader, layer, `decompressed it has the digest ${met} instead of ${diffId}`);
  }
}

function wrong(reader: ImageReader, { digest }: Descriptor, why: string): OciError {
  return new OciError('OCI_WRONG_CONTENT', `Cannot accept ${digest} of ${reader.name}: ${why}`, {
    details: { digest },
  });
}

/** Passes a stream on, after writing it down. */
async function* spooled(
  stream: AsyncIterable<Uint8Array>,
  scratch: ScratchFile,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of stream) {
    scratch.write(at, chunk);
    at += chunk.length;
    onBytes(chunk.length);
    yield chunk;
  }
}

/** A part of what has been written down. */
function stored(scratch: ScratchFile, start: number, size: number): Source {
  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size);
      return scratch.read(start + offset, length);
    },
    readInto(offset, target) {
      checkRange(offset, target.length, size);
      if (scratch.readInto(start + offset, target) === target.length) return;
      throw new OciError(
        'OCI_WRONG_CONTENT',
        'Cannot read a layer: its scratch file was cut short',
      );
    },
  };
}
