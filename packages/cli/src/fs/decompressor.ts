import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { AnoleError } from '@anole/bytes';

/** Where a header of tar says that it is one, for which its first bytes, a name, may say anything. Source: POSIX, ustar. */
const USTAR = { at: 257, magic: '7573746172' };

/** Bytes that tell how an archive is compressed. */
export const MAGIC_SIZE = USTAR.at + USTAR.magic.length / 2;

/** Decompresses a stream, in a pipeline. */
type Decompressor = Transform | ((input: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>);

type Opens = () => Promise<Decompressor>;

/** What is known by its first bytes, and read. Sources: RFC 1952, RFC 8878, xz-file-format 1.1.0 (2.1.1.1). */
const known: readonly (readonly [magic: string, program: string, open: Opens])[] = [
  ['1f8b', 'gzip', async () => createGunzip()],
  ['28b52ffd', 'zstd', async () => createZstdDecompress()],
  ['fd377a585a00', 'xz', async () => (await import('@anole/compose/unxz')).unxz],
];

/** What is known, and left to a program: bzip2 has a size in its magic number and, of what is empty, another block. */
const left: readonly (readonly [magic: RegExp, program: string])[] = [
  [/^425a683[1-9](?:314159265359|177245385090)/, 'bzip2'],
  [/^4c5a49500[01]/, 'lzip'],
  [/^04224d18/, 'lz4'],
];

/**
 * What decompresses an archive that begins so; undefined where it is not compressed.
 *
 * @throws AnoleError `CLI_COMPRESSION`
 */
export function decompressorFor(head: Uint8Array): Opens | undefined {
  const program = compressedBy(head);
  const opens = known.find(([, name]) => name === program)?.[2];
  if (program === undefined || opens !== undefined) return opens;
  throw new AnoleError('CLI_COMPRESSION', `Cannot read an archive that ${program} compressed`, {
    hint: `give it decompressed on stdin: ${program} -dc ARCHIVE | anole fs mk - …`,
  });
}

/** The program that compressed an archive that begins so; undefined where none did. */
export function compressedBy(head: Uint8Array): string | undefined {
  const hex = Buffer.from(head).toString('hex');
  if (hex.startsWith(USTAR.magic, 2 * USTAR.at)) return undefined;
  const ours = known.find(([magic]) => hex.startsWith(magic));
  return ours?.[1] ?? left.find(([magic]) => magic.test(hex))?.[1];
}
