import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { CallOptions, Source } from '@anole/bytes';
import { createFileAtomically } from '@anole/host';
import { MAX_CONFIG, parseConfig } from '../config.ts';
import { type BlobOptions, describe, type ImageReader, readConfig } from '../content.ts';
import { OciError } from '../errors.ts';
import { JsonObject } from '../json.ts';
import {
  type Descriptor,
  encodeJson,
  encodeManifest,
  MAX_MANIFEST,
  type Manifest,
  parseManifest,
} from '../manifest.ts';
import { layerCompressionOf, mediaTypes } from '../media-types.ts';
import { writeArchive } from './archive.ts';
import { decompress } from './decompress.ts';
import { DEFAULT_MAX_LAYER } from './layers.ts';
import { checkContent } from './layout.ts';
import { readSourceRange } from './read-range.ts';
import { StagedWriter, stagingLayout } from './staged-writer.ts';
import { TarMembers } from './tar-members.ts';

interface Saved {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

const subject = { what: 'manifest.json', code: 'OCI_BAD_LAYOUT' } as const;

/**
 * What `docker save` writes, to read. The manifest that such an archive lacks is made up from what
 * it has: the same archive gives the same digest.
 */
export class DockerArchiveReader implements ImageReader, Disposable {
  readonly name: string;
  private readonly members: TarMembers;
  private readonly blobs = new Map<string, Source>();
  private readonly documents = new Map<string, Uint8Array>();

  private constructor(members: TarMembers) {
    this.members = members;
    this.name = `docker-archive:${members.path}`;
  }

  static async open(path: string): Promise<DockerArchiveReader> {
    return new DockerArchiveReader(await TarMembers.open(path));
  }

  async resolve(selector?: string): Promise<Descriptor> {
    const images = await this.images();
    const found =
      selector === undefined ? images : images.filter(({ tags }) => tags.includes(selector));
    const [image] = found;
    if (image === undefined || found.length > 1) {
      const tags = images.flatMap((each) => each.tags).slice(0, 10);
      throw new OciError(
        'OCI_NOT_FOUND',
        `Cannot tell which image of ${this.name}: it has ${tags.join(', ') || 'none with a name'}`,
        { details: { tags }, hint: `Write ${this.name}:NAME:TAG.` },
      );
    }
    return this.assemble(image);
  }

  async manifest({ digest }: Descriptor): Promise<Uint8Array> {
    const found = this.documents.get(digest);
    if (found) return found;
    throw new OciError('OCI_NOT_FOUND', `Cannot find ${digest} in ${this.name}`);
  }

  blob({ digest }: Descriptor, options: BlobOptions = {}): AsyncIterable<Uint8Array> {
    const found = this.blobs.get(digest);
    if (found) return readSourceRange(found, options);
    throw new OciError('OCI_NOT_FOUND', `Cannot find ${digest} in ${this.name}`);
  }

  close(): void {
    this.members[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private async images(): Promise<readonly Saved[]> {
    const bytes = await this.members.read('manifest.json', MAX_MANIFEST);
    let list: unknown;
    try {
      list = JSON.parse(new TextDecoder().decode(bytes));
    } catch (cause) {
      throw new OciError('OCI_BAD_LAYOUT', `Cannot use ${this.name}: it is damaged`, { cause });
    }
    const { raw } = new JsonObject({ list }, subject);
    if (!Array.isArray(raw['list'])) {
      throw new OciError('OCI_BAD_LAYOUT', `Cannot use ${this.name}: its manifest.json is no list`);
    }
    return new JsonObject({ list }, subject).objects('list').map((image) => ({
      config: image.string('Config'),
      tags: image.strings('RepoTags') ?? [],
      layers: image.strings('Layers') ?? [],
    }));
  }

  private async assemble(image: Saved): Promise<Descriptor> {
    const configBytes = await this.members.read(image.config, MAX_CONFIG);
    const { diffIds } = parseConfig(configBytes);
    if (diffIds.length !== image.layers.length) {
      throw new OciError(
        'OCI_BAD_LAYOUT',
        `Cannot use ${this.name}: ${image.layers.length} layers for ${diffIds.length} digests`,
      );
    }
    const config = await describe(mediaTypes.config, configBytes);
    this.blobs.set(config.digest, this.members.find(image.config)!);
    const layers: Descriptor[] = [];
    for (const [at, path] of image.layers.entries())
      layers.push(await this.layer(path, diffIds[at]!));
    const manifest: Manifest = { kind: 'manifest', mediaType: mediaTypes.manifest, config, layers };
    const bytes = encodeManifest(manifest);
    const descriptor = await describe(mediaTypes.manifest, bytes);
    this.documents.set(descriptor.digest, bytes);
    return descriptor;
  }

  /** A layer that is not compressed has the digest that the configuration says. */
  private async layer(path: string, diffId: string): Promise<Descriptor> {
    const source = this.members.find(path);
    if (source === undefined) {
      throw new OciError('OCI_NOT_FOUND', `Cannot find ${JSON.stringify(path)} in ${this.name}`);
    }
    const magic = Buffer.from(await source.read(0, Math.min(4, source.size))).toString('hex');
    const mediaType = magic.startsWith('1f8b')
      ? mediaTypes.layerGzip
      : magic === '28b52ffd'
        ? mediaTypes.layerZstd
        : mediaTypes.layer;
    const digest = mediaType === mediaTypes.layer ? diffId : await hashOf(source);
    this.blobs.set(digest, source);
    return { mediaType, digest, size: source.size };
  }
}

async function hashOf(source: Source): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of readSourceRange(source)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** What `docker load` reads, to write: one image, its layers decompressed. */
export class DockerArchiveWriter extends StagedWriter {
  private root: { readonly bytes: Uint8Array; readonly tag: string | undefined } | undefined;

  static async create(path: string): Promise<DockerArchiveWriter> {
    return new DockerArchiveWriter('docker-archive', path, await stagingLayout(path));
  }

  async putManifest(
    descriptor: Descriptor,
    bytes: Uint8Array,
    tag: string | undefined,
  ): Promise<void> {
    if (parseManifest(bytes, descriptor.mediaType).kind === 'index') {
      throw new OciError('OCI_UNSUPPORTED', `Cannot write ${this.name}: it holds one image only`, {
        hint: 'Name the one to write with --platform.',
      });
    }
    this.root = { bytes, tag };
  }

  async finish(options: CallOptions = {}): Promise<void> {
    const manifest = this.root && parseManifest(this.root.bytes);
    if (manifest?.kind !== 'manifest') return;
    const config = await readConfig(this.layout, manifest.config, options);
    const files = new Map<string, string | Uint8Array>();
    const layers: string[] = [];
    for (const [at, layer] of manifest.layers.entries()) {
      const diffId = config.diffIds[at] ?? '';
      const name = `${diffId.replace('sha256:', '')}.tar`;
      layers.push(name);
      files.set(name, await this.decompressed(layer, diffId, options));
    }
    const configName = `${manifest.config.digest.replace('sha256:', '')}.json`;
    files.set(configName, this.layout.pathOf(manifest.config));
    const tags = this.root?.tag === undefined ? null : [this.root.tag];
    files.set(
      'manifest.json',
      encodeJson([{ Config: configName, RepoTags: tags, Layers: layers }]),
    );
    await writeArchive(this.path, files, options);
  }

  private async decompressed(
    layer: Descriptor,
    diffId: string,
    { signal }: CallOptions,
  ): Promise<string> {
    const path = join(this.layout.directory, diffId.replace(':', '-'));
    const hash = createHash('sha256');
    let size = 0;
    await createFileAtomically(path, async (file) => {
      const compression = layerCompressionOf(layer.mediaType);
      const stream = this.layout.blob(layer, signal ? { signal } : {});
      for await (const chunk of decompress(stream, compression, DEFAULT_MAX_LAYER)) {
        hash.update(chunk);
        size += chunk.length;
        for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
      }
    });
    checkContent({ ...layer, digest: diffId, size }, size, `sha256:${hash.digest('hex')}`);
    return path;
  }
}
