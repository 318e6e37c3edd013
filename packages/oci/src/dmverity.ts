import type { Descriptor } from './manifest.ts';

/** Where in a layer the hashes of dm-verity lie, which protect the bytes before them. */
export interface Dmverity {
  /** 32 bytes. */
  readonly rootHash: Uint8Array;
  /** Byte of the layer at which their superblock lies; also the size of what they protect. */
  readonly hashOffset: number;
}

const ROOT_HASH = 'dev.anole.dm-verity.root-hash';
const HASH_OFFSET = 'dev.anole.dm-verity.hash-offset';

/** A layer's annotations that tell of its hashes. */
export function dmverityAnnotations({ rootHash, hashOffset }: Dmverity): Record<string, string> {
  const hex = Array.from(rootHash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { [ROOT_HASH]: hex, [HASH_OFFSET]: String(hashOffset) };
}

/** The hashes that a layer tells of; undefined where it tells of none that make sense. */
export function dmverityOf({ annotations, size }: Descriptor): Dmverity | undefined {
  const hex = annotations?.[ROOT_HASH] ?? '';
  const hashOffset = Number(annotations?.[HASH_OFFSET] ?? Number.NaN);
  if (!/^[0-9a-f]{64}$/.test(hex) || !Number.isSafeInteger(hashOffset)) return undefined;
  if (hashOffset <= 0 || hashOffset >= size) return undefined;
  const rootHash = Uint8Array.from(hex.match(/../g)!, (pair) => Number.parseInt(pair, 16));
  return { rootHash, hashOffset };
}
