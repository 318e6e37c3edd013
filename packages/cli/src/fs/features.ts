import type { TailMode, WriteOptions } from '@anole/erofs';

/** What `-E` chose, as options of the writer. */
export interface Features
  extends Pick<WriteOptions, 'checksum' | 'compactTimes' | 'inlineTails' | 'inodes' | 'listDots'> {
  readonly tails?: TailMode;
  /** Whether whole files go into the packed inode. */
  readonly allFragments?: boolean;
  /** Whether equal compressed data are stored once. */
  readonly dedupe?: boolean;
  /** Bytes of a pcluster of the packed inode. */
  readonly packedPclusterSize?: number;
  /** Whether addresses of chunks have 8 bytes even where 4 do. */
  readonly indexes?: boolean;
}

/** A feature by the name that mkfs.erofs gives it, and what it means here. */
const known: Readonly<Record<string, Features>> = {
  ztailpacking: { tails: 'inline' },
  '^ztailpacking': {},
  fragments: { tails: 'fragment' },
  'all-fragments': { tails: 'fragment', allFragments: true },
  dedupe: { dedupe: true },
  '^fragments': {},
  inline_data: { inlineTails: true },
  '^inline_data': { inlineTails: false },
  noinline_data: { inlineTails: false },
  'force-inode-extended': { inodes: 'extended' },
  'force-inode-compact': { inodes: 'compact' },
  'force-chunk-indexes': { indexes: true },
  'force-inode-blockmap': { indexes: false },
  'xattr-name-filter': {},
  nosbcrc: { checksum: false },
  '^nosbcrc': { checksum: true },
  '^dedupe': {},
  '^all-fragments': {},
  '48bit': { compactTimes: true },
  'dot-omitted': { compactTimes: true, listDots: false },
  '^48bit': { compactTimes: false },
};

/** Why what mkfs.erofs knows too cannot be had here. */
const refused: Readonly<Record<string, string>> = {
  fragdedupe: 'equal fragments are always stored once',
  '^fragdedupe': 'equal fragments are always stored once',
  'legacy-compress': 'it is for kernels before 5.3; indexes are compact',
  'plain-xattr-prefixes': 'kernels before 6.18 look for them beside fragments',
  '^xattr-name-filter': 'images always have the name filter',
};

/** Raised where an option cannot be used; the command makes a usage error of it. */
export class WrongFlag extends Error {}

/** @throws WrongFlag */
export function featuresOf(texts: readonly string[]): Features {
  let features: Features = {};
  for (const name of texts.flatMap((text) => text.split(','))) {
    const chosen = featureOf(name);
    if (chosen === undefined) throw new WrongFlag(`Cannot use -E ${name}: ${reasonOf(name)}`);
    // With both, ends of files are fragments, as mkfs.erofs has it (lib/compress.c, may_packing).
    const isFragment = features.tails === 'fragment';
    features = { ...features, ...chosen, ...(isFragment && { tails: 'fragment' }) };
  }
  return features;
}

/** As `featuresOf`, for commands that choose nothing but compression. @throws WrongFlag */
export function compressionFeaturesOf(texts: readonly string[]): Features {
  const features = featuresOf(texts);
  const { inlineTails, inodes, indexes, compactTimes, checksum } = features;
  const others = [inlineTails, inodes, indexes, compactTimes, checksum];
  if (others.every((one) => one === undefined)) return features;
  throw new WrongFlag(
    'Cannot use these features here: give ztailpacking, fragments, all-fragments or dedupe',
  );
}

function featureOf(name: string): Features | undefined {
  const [, bare = name, size] = /^((?:all-)?fragments)=(\d+)$/.exec(name) ?? [];
  const feature = Object.hasOwn(known, bare) ? known[bare] : undefined;
  return size === undefined ? feature : { ...feature, packedPclusterSize: Number(size) };
}

function reasonOf(name: string): string {
  const [bare = ''] = name.split('=');
  if (Object.hasOwn(refused, bare)) return refused[bare]!;
  if (Object.hasOwn(known, bare) && bare !== name) return 'it takes no value here';
  return `give ${Object.keys(known)
    .filter((one) => !one.startsWith('^'))
    .join(', ')}`;
}
