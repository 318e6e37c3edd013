import { setImmediate as turn } from 'node:timers/promises';
import type { CallOptions } from '@anole/bytes';
import { openSnapshot } from '@anole/machine/runtime';
import type { SavedFile } from './read.ts';

const pageBytes = 4096;
/** Pages, or chunks, that are checked without a pause. */
const atOnce = 256;

/**
 * Reads all of a file, and checks all of its sums.
 *
 * @throws SandboxError `SANDBOX_FILE_DAMAGED`, `SANDBOX_FILE_VERSION`; MachineError `MACHINE_SNAPSHOT_DAMAGED` …
 */
export async function verify(
  file: SavedFile,
  { signal }: Pick<CallOptions, 'signal'> = {},
): Promise<void> {
  file.description();
  let count = 0;
  const pause = async () => {
    if (++count % atOnce !== 0) return;
    signal?.throwIfAborted();
    await turn();
  };
  const { chunks } = file;
  for (const { content } of file.guest().overlay.nodes) {
    for (const [, chunk] of content?.chunks ?? []) {
      if (!(chunk instanceof Uint8Array)) chunks.read(chunk);
      await pause();
    }
  }
  const { shape, fill } = openSnapshot(file.machine());
  const page = new Uint8Array(pageBytes);
  for (let number = 0; number < shape.memorySize / pageBytes; number++) {
    fill(number, page);
    await pause();
  }
}
