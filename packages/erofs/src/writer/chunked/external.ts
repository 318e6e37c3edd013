import { type Chunks, TABLE_CHUNK_MAX } from '../chunks.ts';

/** All bytes of a file in a row on a device, in as few chunks as can be. */
export function externalChunks(
  size: number,
  firstBlock: number,
  device: number,
  blockSize: number,
): Chunks {
  let chunkSize = blockSize;
  while (chunkSize < size && chunkSize < TABLE_CHUNK_MAX) chunkSize *= 2;
  const count = Math.ceil(size / chunkSize);
  const step = chunkSize / blockSize;
  const blocks = Uint32Array.from({ length: count }, (_, index) => firstBlock + index * step);
  const bits = Math.log2(step);
  return { size: chunkSize, bits, count, stored: [], places: { device, blocks } };
}
