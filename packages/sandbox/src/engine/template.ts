import { rmSync } from 'node:fs';
import { fileSource } from '@anole/host';
import { openSnapshot, type Snapshot } from '@anole/machine/runtime';
import { chunkedSource } from './chunked-source.ts';
import type { TemplateFile } from './messages.ts';
import { OpenedFiles } from './opened-files.ts';
import { readTemplateState, type TemplateState } from './template-state.ts';

/** Open until it is disposed of. */
export interface Template extends TemplateState, Disposable {
  readonly snapshot: Snapshot;
  /** The file for other threads of this process, whatever becomes of its name. */
  readonly path: string;
}

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

export function removeTemplate({ path }: TemplateFile): void {
  rmSync(path, { force: true });
  templates.closeUnused();
}
