import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { AnoleError } from '@anole/bytes';

/** Bytes that tell how an archive is compressed. */
export const MAGIC_SIZE = 6;

/** Decompresses a stream, in a pipeline. */
type Decompressor = Transform | ((input: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>);

/** What is known by its first bytes, and read. Sources: RFC 1952, RFC 8878, xz-file-format 1.1.0 (2.1.1.1). */
const known: readonly (readonly [magic: string, open: () => Promise<Decompressor>])[] = [
  ['1f8b', async () => createGunzip()],
  ['28b52ffd', async () => createZstdDecompress()],
  ['fd377a585a00', async () => (await import('@anole/compose/unxz')).unxz],
];

/** What is known, and left to a program. */
const left: readonly (readonly [magic: string, program: string])[] = [
  ['425a68', 'bzip2'],
  ['4c5a4950', 'lzip'],
  ['04224d18', 'lz4'],
];

/**
 * What decompresses an archive that begins so; undefined where it is not compressed.
 *
 * @throws AnoleError `CLI_COMPRESSION`
 */
export function decompressorFor(head: Uint8Array): (() => Promise<Decompressor>) | undefined {
  const hex = Buffer.from(head).toString('hex');
  const other = left.find(([magic]) => hex.startsWith(magic))?.[1];
  if (other === undefined) return known.find(([magic]) => hex.startsWith(magic))?.[1];
  throw new AnoleError('CLI_COMPRESSION', `Cannot read an archive that ${other} compressed`, {
    hint: `give it decompressed on stdin: ${other} -dc ARCHIVE | anole fs mk - …`,
  });
}
