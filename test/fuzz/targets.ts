import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  decodeLz4,
  decodeMicroLzma,
  decodeZstd,
  GzipIndexer,
  indexedGzip,
  inflate,
  memorySource,
} from '@anole/bytes';
import { checkErofs, type ErofsNode, openErofs } from '@anole/erofs';
import { checkRafs, openRafs, openRafsBlob } from '@anole/nydus';
import { nodeCodecs } from '@anole/nydus/node';
import { encodeZtoc, openIndexedLayer, parseZtoc } from '@anole/oci';
import { type TreeNode, treeFromTar, walk } from '@anole/vfs';
import { checkedEnd, superblockChecksum } from '../../packages/erofs/src/checksum.ts';
import { offsetOf } from '../../packages/erofs/src/reader/inode.ts';
import { mappedDevice } from '../../packages/nydus/src/node/layer-map/image-map.ts';
import { LayerMap } from '../../packages/nydus/src/node/layer-map/layer-map.ts';
import { agent } from './agent.ts';
import { Met } from './met.ts';
import { options } from './options.ts';
import { saved } from './saved.ts';
import { sharedMemory } from './shared-memory.ts';
import { smc } from './smc.ts';
import { smcHandshake } from './smc-handshake.ts';

/** Something that takes bytes from outside. */
export interface Target {
  readonly name: string;
  readonly seeds: ReadonlyMap<string, Uint8Array>;
  /** Why it cannot be run here. */
  readonly missing?: string | undefined;
  /** Bytes of a seed that count. */
  places?(seed: Uint8Array): Promise<readonly number[]>;
  /** Makes a mutant get further than the first check. */
  repair?(bytes: Uint8Array): void;
  /** Raises errors with codes only; gives what happened on the way, one word for each kind. */
  run(bytes: Uint8Array): Promise<ReadonlySet<string>>;
}

const seedsDirectory = join(import.meta.dirname, 'seeds');

function seedsOf(prefix: string): Map<string, Uint8Array> {
  const names = readdirSync(seedsDirectory).filter((name) => name.startsWith(`${prefix}-`));
  return new Map(
    names
      .sort()
      .map((name) => [
        name.replace(/\.gz$/, ''),
        new Uint8Array(gunzipSync(readFileSync(join(seedsDirectory, name)))),
      ]),
  );
}

/** More than any seed has. */
const MANY = 20_000;
const PART = 65_536;

async function readNode(node: TreeNode, met: Met): Promise<void> {
  const { type, size } = node.stat;
  await met.attempt(() => node.xattrs());
  if (type === 'symlink') await met.attempt(() => node.readLink());
  if (type !== 'file') return;
  for (const at of [0, Math.max(0, Math.floor(size / 2)), Math.max(0, size - PART), size]) {
    await met.attempt(() => node.read(at, PART));
  }
  await met.attempt(() => node.extents?.());
}

async function runImage(bytes: Uint8Array): Promise<ReadonlySet<string>> {
  const met = new Met();
  const source = memorySource(bytes);
  const tree = await met.attempt(() => openErofs(source));
  if (tree) await readTree(tree.root, met);
  // Digests are never right: what is read for them counts.
  const sha256 = () => ({ update() {}, digest: () => '00'.repeat(32) });
  const { findings } = await checkErofs(source, { limit: 50, sha256 });
  for (const finding of findings) met.finding(finding);
  return met.kinds;
}

async function readTree(root: TreeNode, met: Met): Promise<void> {
  let names = 0;
  const pending: TreeNode[] = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const current = node;
    if (++names > MANY) throw new Error('a walk does not end');
    await readNode(current, met);
    if (current.stat.type !== 'directory') continue;
    for (const { name } of (await met.attempt(() => current.list())) ?? []) {
      if (name.includes('/') || name.includes('\0')) throw new Error('a name that leads away');
      const child = await met.attempt(() => current.lookup(name));
      if (child) pending.push(child);
    }
  }
}

function decoder(
  name: string,
  decode: (input: Uint8Array, output: Uint8Array, options: { partial: boolean }) => void,
): Target {
  return {
    name,
    seeds: seedsOf(name),
    /** The first three bytes say how many bytes are wanted, and whether a part will do. */
    async run(bytes) {
      const met = new Met();
      const [low = 0, high = 0, flags = 0] = bytes;
      const output = new Uint8Array(low + (high << 8) + ((flags & 15) << 16));
      await met.attempt(() => decode(bytes.subarray(3), output, { partial: (flags & 16) !== 0 }));
      return met.kinds;
    },
  };
}

const image: Target = {
  name: 'erofs',
  seeds: seedsOf('erofs'),
  async places(seed) {
    const tree = await openErofs(memorySource(seed));
    const places = [1024];
    for await (const { node } of walk(tree)) {
      const { nid, stat } = node as ErofsNode;
      places.push(offsetOf(tree.info, nid));
      if (stat.size > 0) places.push((await (node as ErofsNode).mapping(0)).start);
    }
    return places;
  },
  /** The checksum would catch all damage in the first block. */
  repair(bytes) {
    const end = checkedEnd(2 ** Math.min(16, Math.max(9, bytes[1024 + 12] ?? 12)));
    if (bytes.length < end) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint32(1028, 0, true);
    view.setUint32(1028, superblockChecksum(bytes.subarray(1024, end)), true);
  },
  run: runImage,
};

const tar: Target = {
  name: 'tar',
  seeds: seedsOf('tar'),
  /** Checksums of headers would catch most. */
  repair(bytes) {
    for (let at = 0; at + 512 <= bytes.length; at += 512) {
      const header = bytes.subarray(at, at + 512);
      if (header[257] !== 0x75 || header[258] !== 0x73) continue;
      header.fill(0x20, 148, 156);
      const sum = header.reduce((total, byte) => total + byte, 0);
      header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
    }
  },
  async run(bytes) {
    const met = new Met();
    const tree = await met.attempt(() => treeFromTar(memorySource(bytes)));
    if (tree === undefined) return met.kinds;
    for await (const { path, node } of walk(tree)) {
      if (path.split('/').includes('..')) throw new Error('a path that climbs out');
      await readNode(node, met);
    }
    return met.kinds;
  },
};

/** Bytes that mutants may make at most. */
const MADE = 4 * 1024 * 1024;

const gzip: Target = {
  name: 'gzip',
  seeds: seedsOf('gzip'),
  async run(bytes) {
    const met = new Met();
    const indexer = new GzipIndexer({ span: 256 });
    const index = await met.attempt(() => {
      let made = 0;
      for (let at = 0; at < bytes.length; at += 100) {
        for (const piece of indexer.decode(bytes.subarray(at, at + 100))) made += piece.length;
        if (made > MADE) return undefined;
      }
      return indexer.finish();
    });
    if (index === undefined) return met.kinds;
    const source = await met.attempt(() => indexedGzip(memorySource(bytes), index));
    await met.attempt(() => source?.read(0, source.size));
    return met.kinds;
  },
};

const ztoc: Target = {
  name: 'ztoc',
  seeds: seedsOf('ztoc'),
  async run(bytes) {
    const met = new Met();
    const index = await met.attempt(() => parseZtoc(bytes));
    if (index === undefined) return met.kinds;
    for (const { path } of index.members) {
      if (path.split('/').includes('..')) throw new Error('a path that climbs out');
    }
    await met.attempt(() => encodeZtoc(index));
    const stored = { size: index.compressedSize, read: () => new Uint8Array(0) };
    await met.attempt(() => openIndexedLayer(index, stored));
    return met.kinds;
  },
};

/** The map of a layer, whose spans all are asked for. */
const layerMap: Target = {
  name: 'layer-map',
  seeds: seedsOf('layer-map'),
  async run(bytes) {
    const met = new Met();
    const map = await met.attempt(() => new LayerMap(bytes));
    if (map === undefined) return met.kinds;
    met.kinds.add(map.codec);
    const windows = memorySource(new Uint8Array(MANY));
    const stored = {
      size: map.storedSize,
      read: (_: number, length: number) => new Uint8Array(length),
    };
    const device = await met.attempt(() =>
      mappedDevice(map, { map: { digest: 'sha256:map' } }, 'sha256:layer', stored, {
        ...windows,
        size: map.windowsSize,
      }),
    );
    for (let chunk = 0; device && chunk < device.chunks.count; chunk++) {
      const size = device.chunks.offsetOf(chunk + 1) - device.chunks.offsetOf(chunk);
      if (size < 2 ** 20) await met.attempt(() => device.fetch(chunk, chunk + 1, {}));
    }
    return met.kinds;
  },
};

/** A blob that holds its bootstrap, or a bootstrap of RAFS v5 with its blob behind it. */
const rafs: Target = {
  name: 'rafs',
  seeds: seedsOf('rafs'),
  async places(seed) {
    if (isV5(seed)) return [0, 80, 8192, 8320, 8448, 9000];
    const size = Number.parseInt(String.fromCharCode(...seed.subarray(-388, -377)), 8);
    const bootstrap = seed.length - 512 - size;
    return [1024, 1152, 1408, 4096, 8192, 12288, 12600].map((at) => bootstrap + at).concat(0);
  },
  async run(bytes) {
    const met = new Met();
    const source = memorySource(bytes);
    const blobs = () => source;
    const options = { codecs: nodeCodecs };
    const image = await met.attempt(async () =>
      isV5(bytes) ? openRafs(source, blobs, options) : openRafsBlob(source, blobs, options),
    );
    if (image === undefined) return met.kinds;
    await readTree(image.root, met);
    await met.attempt(() => image.prefetch());
    const bootstrap = isV5(bytes) ? source : memorySource(new Uint8Array(0));
    const { findings } = await checkRafs(image, bootstrap);
    for (const { code } of findings) met.kinds.add(`check ${code}`);
    return met.kinds;
  },
};

function isV5(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(0, 4)) === 'SFAR';
}

export const targets: readonly Target[] = [
  image,
  rafs,
  tar,
  gzip,
  ztoc,
  layerMap,
  decoder('lz4', decodeLz4),
  decoder('deflate', inflate),
  decoder('zstd', decodeZstd),
  decoder('lzma', decodeMicroLzma),
  options,
  agent,
  saved,
  smc,
  smcHandshake,
  sharedMemory,
];
