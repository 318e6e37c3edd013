import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FuseState } from '@anole/fuse';
import { type FileSource, fileSource } from '@anole/host';
import { type Machine, openSnapshot, type Snapshot } from '@anole/machine/runtime';
import { chunkedSource } from './chunked-source.ts';
import { keepNewest } from './keep-newest.ts';
import type { TemplateFile } from './messages.ts';
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

/** A template that machines of this thread use, or used a moment ago. */
interface Opened {
  /** Tells the file, as it was, from all others. */
  readonly file: string;
  readonly template: Omit<Template, typeof Symbol.dispose>;
  readonly source: FileSource;
  users: number;
}

/** The newest last. Opening one takes longer than all the rest of a restore. */
const opened: Opened[] = [];
/** Those that no machine uses, and that are kept. */
const maxUnused = 2;

/** Opens a template; undefined where there is none that is whole and of this machine. */
export function openTemplate({ path, identity }: TemplateFile): Template | undefined {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    const file = `${dev}:${ino}:${size}:${mtimeMs}`;
    let found = opened.find((each) => each.file === file);
    if (found === undefined) {
      found = { file, ...readTemplate(path, identity), users: 0 };
      opened.push(found);
    }
    found.users++;
    const used = found;
    const leave = () => {
      used.users--;
      closeUnused(maxUnused);
    };
    return { ...found.template, [Symbol.dispose]: leave };
  } catch {
    return undefined;
  }
}

function readTemplate(name: string, identity: Uint8Array): Pick<Opened, 'template' | 'source'> {
  const source = fileSource(name);
  try {
    const snapshot = openSnapshot(chunkedSource(source), identity);
    const path = `/proc/self/fd/${source.fd}`;
    return { template: { snapshot, ...readTemplateState(snapshot.host), path }, source };
  } catch (error) {
    source.close();
    throw error;
  }
}

function closeUnused(keep: number): void {
  const unused = opened.filter(({ users }) => users === 0);
  for (const each of unused.slice(0, Math.max(0, unused.length - keep))) {
    opened.splice(opened.indexOf(each), 1);
    each.source.close();
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
  closeUnused(0);
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
