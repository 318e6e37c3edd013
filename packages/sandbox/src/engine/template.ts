import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FuseState } from '@anole/fuse';
import { fileSource } from '@anole/host';
import { type Machine, openSnapshot, type Snapshot } from '@anole/machine/runtime';
import { chunkedSource } from './chunked-source.ts';
import { keepNewest } from './keep-newest.ts';
import type { TemplateFile } from './messages.ts';
import { OpenedFiles } from './opened-files.ts';
import { readTemplateState, type TemplateState, writeTemplateState } from './template-state.ts';

/** Open until it is disposed of. */
export interface Template extends TemplateState, Disposable {
  readonly snapshot: Snapshot;
  /** The file for other threads of this process, whatever becomes of its name. */
  readonly path: string;
}

/** Templates that are kept; the oldest go first. */
const maxTemplates = 12;
const bufferBytes = 0x10_0000;

/** A template, as long as its file is open. */
type OpenTemplate = Template & { readonly identity: Uint8Array };

const templates = new OpenedFiles(readTemplate, 2);

/**
 * Opens a template.
 *
 * @param identity what it must be of; not looked at where absent
 * @throws where there is none that is whole and of this machine
 */
export function takeTemplate(path: string, identity?: Uint8Array): Template {
  const { value, leave } = templates.take(path);
  if (identity === undefined || identity.every((byte, at) => byte === value.identity[at])) {
    return { ...value, [Symbol.dispose]: leave };
  }
  leave();
  throw new Error('it is of another machine');
}

/** {@link takeTemplate}, undefined where it throws. */
export function openTemplate({ path, identity }: TemplateFile): Template | undefined {
  try {
    return takeTemplate(path, identity);
  } catch {
    return undefined;
  }
}

function readTemplate(name: string): OpenTemplate {
  const source = fileSource(name);
  try {
    const snapshot = openSnapshot(chunkedSource(source));
    const path = `/proc/self/fd/${source.fd}`;
    const { identity } = snapshot;
    const close = () => source.close();
    return {
      snapshot,
      identity,
      path,
      ...readTemplateState(snapshot.host),
      [Symbol.dispose]: close,
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

/**
 * Saves a machine whose guest serves, once it waits, with what `stateNow` says then. Two that do so at
 * once write a file each, and the last one stays: they are alike.
 */
export async function saveTemplate(
  machine: Machine,
  { path, identity }: TemplateFile,
  stateNow: () => { readonly hello: Uint8Array; readonly root: FuseState | undefined },
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  const file = openSync(temporary, 'wx', 0o600);
  try {
    const buffered = bufferedWriter(file);
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
    await machine.save(buffered.write, options);
    buffered.flush();
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  keepNewest(dirname(path), maxTemplates);
}

export function removeTemplate({ path }: TemplateFile): void {
  rmSync(path, { force: true });
  templates.closeUnused();
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
