import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { HostError, systemCode } from '@anole/host';

/** Bytes that are read at once to prove a file. */
const PIECE = 256 * 1024;

/** Gives the bytes of a file from its beginning, valid until the next are asked for; none at its end. */
export type Pieces = AsyncGenerator<Uint8Array, void>;

/** Writes all of a file, and says its SHA-256. @throws what `pieces` raise; `HOST_WRONG_CONTENT` where they are too few or too many */
export async function write(file: FileHandle, size: number, pieces: Pieces) {
  const digest = createHash('sha256');
  let length = 0;
  for await (const piece of pieces) {
    digest.update(piece);
    for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
    length += piece.length;
  }
  if (length !== size) {
    throw new HostError(
      'HOST_WRONG_CONTENT',
      `Cannot make a file: ${length} of ${size} bytes came`,
    );
  }
  return digest.digest('hex');
}

/** Reads all of a file, undefined where none is there. @throws what `pause` raises, and the disk */
export async function digestOf(path: string, pause?: () => Promise<void>) {
  await using file = await openThere(path);
  if (file === undefined) return undefined;
  // What changes while it is read is not what it was before.
  const stat = await file.stat();
  const digest = createHash('sha256');
  const piece = new Uint8Array(PIECE);
  for (let at = 0; ; ) {
    await pause?.();
    const { bytesRead } = await file.read(piece, 0, PIECE, at);
    if (bytesRead === 0) break;
    digest.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
  return { sha256: digest.digest('hex'), stat };
}

async function openThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
