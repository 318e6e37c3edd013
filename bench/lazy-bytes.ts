import { readFileSync } from 'node:fs';
import { openErofs } from '@anole/erofs';
import { hostDecoders } from '@anole/host';
import { parseTrace, type Trace } from '@anole/nydus/node';
import { findOnDemand, type OnDemandReference, placeBlobs } from '@anole/nydus/service';
import { hintsOf, type LayerRange, parsePlatform } from '@anole/oci';
import { ImageStore, Registries } from '@anole/oci/node';
import { findNode } from '@anole/vfs';
import { PLATFORM } from './lazy-images.ts';

const BLOCK = 4096;

/**
 * Bytes of an image that a program wants, as they are stored: what it is measured against that more come. Metadata
 * count, hashes do not.
 */
export interface WantedBytes {
  /** Of pages that are read: what lies in an image in which nothing else is compressed together with them. */
  readonly pages: number;
  /** Of units of compression in which pages lie that are read: less of this image cannot be decoded. */
  readonly units: number;
}

/**
 * @param plain an image converted without the trace
 * @param traced the same image converted with it
 * @param trace the file that has it
 */
export async function bytesWanted(
  plain: string,
  traced: string,
  trace: string,
): Promise<WantedBytes> {
  using registries = await Registries.load();
  const around = { registries, store: new ImageStore() };
  const find = (name: string) => findOnDemand(name, parsePlatform(PLATFORM), around);
  const { metadata, first } = hintsOf((await find(traced)).layers[0]!);
  const reference = await find(plain);
  const from = placeBlobs(reference.name, around);
  try {
    const units = await unitsOf(reference, from, parseTrace(readFileSync(trace)));
    return { pages: sum([...metadata, ...first]), units };
  } finally {
    from.close?.();
  }
}

/** Reads of an image what a trace names, and counts the blocks that it takes. */
async function unitsOf(
  { layers: [layer] }: OnDemandReference,
  from: ReturnType<typeof placeBlobs>,
  trace: Trace,
): Promise<number> {
  const far = from.source(layer!);
  const blocks = new Set<number>();
  const tree = await openErofs(
    {
      size: far.size,
      read(offset, length, options) {
        for (let at = Math.floor(offset / BLOCK); at * BLOCK < offset + length; at++)
          blocks.add(at);
        return far.read(offset, length, options);
      },
    },
    { decoders: hostDecoders },
  );
  await tree.loadMetadata();
  for (const { path, offset, length } of trace) {
    const node = await findNode(tree, path);
    if (node?.stat.type !== 'file') continue;
    const end = Math.min(node.stat.size, offset + length);
    for (let at = offset; at < end; at += BLOCK) await node.read(at, Math.min(BLOCK, end - at));
  }
  return blocks.size * BLOCK;
}

function sum(ranges: readonly LayerRange[]): number {
  return ranges.reduce((total, [start, end]) => total + end - start, 0);
}
