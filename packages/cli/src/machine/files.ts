import { open, readFile, rm, stat } from 'node:fs/promises';
import { AnoleError } from '@anole/bytes';

/** Larger files are refused before they are read: no guest could hold them. */
const MAX_FILE = 2 ** 32;

/** Reads a file for the machine: a kernel, a program, a RAM disk. */
export async function readInput(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE) {
      throw new AnoleError('CLI_FILE', `Cannot read ${path}: ${size} bytes are too many`);
    }
    return await readFile(path);
  } catch (cause) {
    throw AnoleError.is(cause) ? cause : fileError('read', path, cause);
  }
}

/** Writes all of a text, or leaves no file behind. */
export async function writeOutput(path: string, text: string): Promise<void> {
  try {
    await using file = await open(path, 'w');
    const regular = (await file.stat()).isFile();
    await file.writeFile(text).catch(async (cause) => {
      if (regular) await rm(path, { force: true });
      throw cause;
    });
  } catch (cause) {
    throw fileError('write', path, cause);
  }
}

function fileError(verb: string, path: string, cause: unknown): AnoleError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AnoleError('CLI_FILE', `Cannot ${verb} ${path}: ${reason}`, {
    cause,
    details: { path },
  });
}
