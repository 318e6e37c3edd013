import { writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FuseState } from '@anole/fuse';
import { createFileAtomically } from '@anole/host';
import type { Machine } from '@anole/machine/runtime';
import { keepNewest } from './keep-newest.ts';
import type { TemplateFile } from './messages.ts';
import { writeTemplateState } from './template-state.ts';

/** Templates that are kept; the oldest go first. */
const maxTemplates = 12;
const bufferBytes = 0x10_0000;

/**
 * Saves a machine whose guest serves, once it waits, with what `stateNow` says then. It is there whole or not
 * at all, also where the process is killed. Two that do so at once write a file each, and the last one stays: they
 * are alike.
 */
export async function saveTemplate(
  machine: Machine,
  { path, identity }: TemplateFile,
  stateNow: () => { readonly hello: Uint8Array; readonly root: FuseState | undefined },
): Promise<void> {
  const options = {
    identity,
    whenIdle: true,
    // Asked for at the moment at which the machine is taken.
    get host(): Uint8Array {
      const { hello, root } = stateNow();
      if (root === undefined) throw new Error('the guest holds files that have no name');
      return writeTemplateState({ hello, root });
    },
  };
  await createFileAtomically(
    path,
    async ({ fd }) => {
      const buffered = bufferedWriter(fd);
      await machine.save(buffered.write, options);
      buffered.flush();
    },
    { mode: 0o600 },
  );
  keepNewest(dirname(path), maxTemplates);
}

/** Pages are small: a write for each would take most of the time. */
function bufferedWriter(file: number) {
  const buffer = new Uint8Array(bufferBytes);
  let filled = 0;
  const flush = () => {
    for (let at = 0; at < filled; ) at += writeSync(file, buffer, at, filled - at);
    filled = 0;
  };
  const write = (chunk: Uint8Array) => {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + bufferBytes - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === bufferBytes) flush();
    }
  };
  return { write, flush };
}
