import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { MemoryTree, type Tree, writeTar } from '@anole/vfs';
import type { Compression, Descriptor } from '../index.ts';
import { type ImageReader, mediaTypes, openImage, parsePlatform } from '../index.ts';
import { imageTree } from '../node/index.ts';
import { run, type Test, temporary } from './tools.ts';

export interface MadeLayer {
  readonly tar: Uint8Array;
  readonly compression?: Compression;
}

export interface MadeImage {
  readonly platform?: string;
  readonly layers: readonly MadeLayer[];
  readonly config?: Record<string, unknown>;
}

/** The tar of a tree. */
export async function tarOf(tree: MemoryTree): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of writeTar(tree)) parts.push(part.slice());
  return new Uint8Array(Buffer.concat(parts));
}

/** Writes a layout without any code of the package: images that may be wrong in every way. */
export class RawLayout {
  readonly directory: string;
  private readonly entries: unknown[] = [];

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
    writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  }

  blob(mediaType: string, content: Uint8Array | string): Descriptor {
    const bytes = Buffer.from(content);
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(this.directory, 'blobs/sha256', hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  }

  json(mediaType: string, value: unknown): Descriptor {
    return this.blob(mediaType, JSON.stringify(value));
  }

  image({ platform = 'linux/riscv64', layers, config = {} }: MadeImage): Descriptor {
    const [os, architecture] = platform.split('/');
    const blobs = layers.map(({ tar, compression = 'gzip' }) => this.layer(tar, compression));
    const diffIds = layers.map(({ tar }) => sha256(tar));
    const document = { os, architecture, config, rootfs: { type: 'layers', diff_ids: diffIds } };
    return this.json(mediaTypes.manifest, {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: this.json(mediaTypes.config, document),
      layers: blobs,
    });
  }

  index(images: readonly (readonly [platform: string, image: Descriptor])[]): Descriptor {
    const manifests = images.map(([platform, image]) => {
      const [os, architecture, variant] = platform.split('/');
      return { ...image, platform: { os, architecture, ...(variant && { variant }) } };
    });
    return this.json(mediaTypes.index, {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests,
    });
  }

  name(descriptor: Descriptor, tag: string): this {
    const annotations = { 'org.opencontainers.image.ref.name': tag };
    this.entries.push({ ...descriptor, annotations });
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: this.entries };
    writeFileSync(join(this.directory, 'index.json'), JSON.stringify(index));
    return this;
  }

  /** A blob's text. */
  read(digest: string): string {
    return readFileSync(join(this.directory, 'blobs/sha256', digest.slice(7)), 'utf8');
  }

  private layer(tar: Uint8Array, compression: Compression): Descriptor {
    if (compression === 'gzip') return this.blob(mediaTypes.layerGzip, gzipSync(tar));
    if (compression === 'zstd') return this.blob(mediaTypes.layerZstd, zstdCompressSync(tar));
    return this.blob(mediaTypes.layer, tar);
  }
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Names of the blobs of a layout. */
export function blobsIn(directory: string): string[] {
  return readdirSync(join(directory, 'blobs/sha256')).sort();
}

/** An image of three layers with whiteouts, made by umoci: the layout's directory. */
export function umociImage(directory: string): string {
  const layout = join(directory, 'umoci');
  const bundle = join(directory, 'bundle');
  run('umoci', 'init', '--layout', layout);
  run('umoci', 'new', '--image', `${layout}:made`);
  const config = ['--config.env', 'GREETING=hello', '--config.workingdir', '/srv'];
  run('umoci', 'config', '--image', `${layout}:made`, ...config, '--config.cmd', '/bin/cat');
  const repack = (change: string) => {
    run('umoci', 'unpack', '--image', `${layout}:made`, bundle);
    run('sh', '-ec', `cd '${bundle}/rootfs'; ${change}`);
    run('umoci', 'repack', '--image', `${layout}:made`, bundle);
    run('rm', '-rf', bundle);
  };
  repack(`mkdir -p etc srv/old bin usr/lib; echo one > etc/one; echo two > etc/two
    echo old > srv/old/file; ln -s ../usr/lib lib; ln etc/one etc/linked
    head -c 300000 /dev/urandom > usr/lib/data; chmod 4755 usr/lib/data
    setfattr -n user.mark -v yes etc/one 2>/dev/null || true; mkfifo srv/pipe`);
  repack('rm etc/two; rm -r srv/old; mkdir srv/old; echo new > srv/old/new; echo 1 >> etc/one');
  repack('rm etc/linked; echo three > etc/three; touch -d @86400 etc');
  return layout;
}

/** Two layers: files, of which the upper one removes one and adds a hard link. */
export async function twoLayers(): Promise<Uint8Array[]> {
  const lower = new MemoryTree();
  lower.putFile('etc/a', new TextEncoder().encode('one'));
  lower.putFile('etc/b', new Uint8Array(100_000).fill(7));
  const upper = new MemoryTree();
  upper.putFile('etc/.wh.a', new Uint8Array(0));
  upper.putLink('etc/c', upperFile(upper));
  return [await tarOf(lower), await tarOf(upper)];
}

function upperFile(tree: MemoryTree): string {
  tree.putFile('etc/d', new TextEncoder().encode('four'));
  return 'etc/d';
}

/** The file system of an image, for as long as the test runs. */
export async function treeOf(test: Test, reader: ImageReader, selector?: string): Promise<Tree> {
  const platform = parsePlatform('linux/amd64');
  const image = await openImage(reader, await reader.resolve(selector), platform);
  const tree = await imageTree(image, { scratch: temporary(test) });
  test.after(() => void tree.close?.());
  return tree;
}
