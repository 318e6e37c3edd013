import { openSnapshot, type Snapshot } from '@anole/machine/runtime';
import type { ChunkStore } from '@anole/vfs';
import { SavedFile } from '../saved/read.ts';
import { chunkedSource } from './chunked-source.ts';
import type { BaseFile } from './messages.ts';
import { OpenedFiles } from './opened-files.ts';
import { takeTemplate } from './template.ts';

/** What a machine stands on: pages that nobody wrote, and chunks of files. Open until disposed of. */
export interface Base extends Disposable {
  /** The file for other threads of this process, whatever becomes of its name. */
  readonly file: BaseFile;
  readonly snapshot: Snapshot;
  readonly chunks?: ChunkStore;
}

/** A saved sandbox as a base. */
export interface SavedBase extends Base {
  readonly saved: SavedFile;
}

const savedFiles = new OpenedFiles(openSaved, 2);

/** @throws MachineError, SandboxError, HostError where the file is not what it was */
export function openBase({ kind, path }: BaseFile): Base {
  if (kind === 'sandbox') return takeSaved(path);
  const template = takeTemplate(path);
  const { snapshot } = template;
  const leave = () => template[Symbol.dispose]();
  return { file: { kind, path: template.path }, snapshot, [Symbol.dispose]: leave };
}

/** Opens a saved sandbox. @throws as {@link openBase} */
export function takeSaved(path: string): SavedBase {
  const { value, leave } = savedFiles.take(path);
  return { ...value, [Symbol.dispose]: leave };
}

function openSaved(path: string): SavedBase {
  const saved = new SavedFile(path);
  try {
    const snapshot = openSnapshot(saved.machine(chunkedSource(saved.source)));
    const file = { kind: 'sandbox', path: saved.path } as const;
    return {
      saved,
      file,
      snapshot,
      chunks: saved.chunks,
      [Symbol.dispose]: () => saved[Symbol.dispose](),
    };
  } catch (error) {
    saved[Symbol.dispose]();
    throw error;
  }
}
