import { decodeName, type Flow, wait } from '@anole/bytes';
import type { Extent } from '../tree.ts';
import { TarError } from './errors.ts';
import { countField } from './fields.ts';
import type { TarInput } from './input.ts';
import { BLOCK, gnuHeader, sparseExtension } from './layout.ts';
import { type PaxRecord, parseCount } from './pax.ts';

/**
 * The maps of sparse files, in the four forms GNU tar has had. GNU tar manual, "Sparse Formats".
 */
export interface SparseMap {
  /** Bytes of the file, holes included. */
  readonly size: number;
  readonly extents: readonly Extent[];
}

const MAX = Number.MAX_SAFE_INTEGER;

/** Old GNU: four pairs in the header, more in extension blocks that follow it. */
export function* readOldMap(
  block: Uint8Array,
  input: TarInput,
  maxMetadata: number,
): Flow<SparseMap> {
  const size = countField(block, gnuHeader.realSize, MAX);
  const extents: Extent[] = [];
  readPairs(block, gnuHeader.sparse, extents);
  let more = block[gnuHeader.isExtended[0]] !== 0;
  for (let read = 0; more; read += BLOCK) {
    if (read >= maxMetadata) throw tooLarge();
    const extension = yield* wait(input.take(BLOCK));
    if (extension === undefined) throw bad('it ends within its map');
    readPairs(extension, sparseExtension.sparse, extents);
    more = extension[sparseExtension.isExtended[0]] !== 0;
  }
  return { size, extents };
}

function readPairs(block: Uint8Array, field: readonly [number, number], extents: Extent[]): void {
  const [start, length] = field;
  for (let at = start; at + 24 <= start + length; at += 24) {
    if (block[at + 12] === 0) break;
    extents.push({
      offset: countField(block, [at, 12], MAX),
      length: countField(block, [at + 12, 12], MAX),
    });
  }
}

/** Which form the PAX records of an entry announce, if any. */
export function sparseForm(
  pax: ReadonlyMap<string, Uint8Array>,
): '0.0' | '0.1' | '1.0' | undefined {
  const major = text(pax, 'GNU.sparse.major');
  const minor = text(pax, 'GNU.sparse.minor');
  if (major !== undefined && minor !== undefined) {
    if (major === '1' && minor === '0') return '1.0';
    if (major !== '0') throw bad(`its format is ${major}.${minor}`);
  }
  if (pax.has('GNU.sparse.map')) return '0.1';
  return pax.has('GNU.sparse.numblocks') || pax.has('GNU.sparse.size') ? '0.0' : undefined;
}

/** 0.0: pairs of records that repeat, so their order counts. */
export function readMap00(records: readonly PaxRecord[], size: number): SparseMap {
  const extents: Extent[] = [];
  let offset: number | undefined;
  for (const { key, value } of records) {
    if (key === 'GNU.sparse.offset') offset = parseCount(value, MAX);
    if (key !== 'GNU.sparse.numbytes') continue;
    if (offset === undefined) throw bad('a length without an offset');
    extents.push({ offset, length: parseCount(value, MAX) });
    offset = undefined;
  }
  return { size, extents };
}

/** 0.1: one record with all numbers. */
export function readMap01(map: Uint8Array, size: number): SparseMap {
  const numbers = map.length === 0 ? [] : decodeName(map).split(',');
  if (numbers.length % 2 !== 0) throw bad('an odd number of numbers');
  const extents: Extent[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    extents.push({
      offset: parseCount(numbers[at]!, MAX),
      length: parseCount(numbers[at + 1]!, MAX),
    });
  }
  return { size, extents };
}

/**
 * 1.0: numbers as lines at the start of the body, padded to a block.
 *
 * @param stored bytes of the body, map included
 */
export function* readMap10(
  input: TarInput,
  stored: number,
  size: number,
  maxMetadata: number,
): Flow<SparseMap & { readonly mapSize: number }> {
  const numbers: number[] = [];
  let count = 1;
  let mapSize = 0;
  let digits = '';
  while (numbers.length < count) {
    if (mapSize + BLOCK > stored) throw bad('its map is longer than its body');
    if (mapSize >= maxMetadata) throw tooLarge();
    const block = yield* wait(input.take(BLOCK));
    if (block === undefined) throw bad('it ends within its map');
    mapSize += BLOCK;
    for (let at = 0; at < BLOCK && numbers.length < count; at++) {
      if (block[at] !== 0x0a) {
        digits += String.fromCharCode(block[at]!);
        if (digits.length > 16) throw bad('its map holds no numbers');
        continue;
      }
      const number = parseCount(digits, MAX);
      digits = '';
      numbers.push(number);
      if (numbers.length === 1) count = 1 + 2 * number;
    }
  }
  const extents: Extent[] = [];
  for (let at = 1; at < numbers.length; at += 2) {
    extents.push({ offset: numbers[at]!, length: numbers[at + 1]! });
  }
  return { size, extents, mapSize };
}

/**
 * The map without its empty ends, once it is known to be in order, within the file and as long as
 * the body.
 *
 * @throws TarError `TAR_BAD_SPARSE`
 */
export function checkMap(map: SparseMap, stored: number): SparseMap {
  const extents: Extent[] = [];
  let end = 0;
  let total = 0;
  for (const extent of map.extents) {
    if (extent.offset < end) throw bad('its map is out of order');
    end = extent.offset + extent.length;
    if (!(end <= map.size)) throw bad('its map reaches beyond the file');
    total += extent.length;
    if (extent.length > 0) extents.push(extent);
  }
  if (total !== stored) throw bad(`its map counts ${total} bytes, its body ${stored}`);
  return { size: map.size, extents };
}

function text(pax: ReadonlyMap<string, Uint8Array>, key: string): string | undefined {
  const value = pax.get(key);
  return value && decodeName(value.subarray(0, 16));
}

function bad(reason: string): TarError {
  return new TarError('TAR_BAD_SPARSE', `Cannot read a sparse file of the tar: ${reason}`);
}

function tooLarge(): TarError {
  return new TarError(
    'TAR_TOO_LARGE',
    'Cannot read a sparse file of the tar: its map is too large',
  );
}
