import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { CallOptions } from '@anole/bytes';
import { hostError } from '@anole/host';
import type { ImageWriter } from '../content.ts';
import type { Descriptor } from '../manifest.ts';
import { LayoutDirectory } from './layout.ts';

/** An archive to write, gathered as a layout in a hidden directory, which goes when it is disposed of. */
export abstract class StagedWriter implements ImageWriter, AsyncDisposable {
  readonly name: string;
  readonly path: string;
  protected readonly layout: LayoutDirectory;

  /** @param transport as it stands before paths of its kind, see {@link stagingLayout} */
  protected constructor(transport: string, path: string, layout: LayoutDirectory) {
    this.path = path;
    this.layout = layout;
    this.name = `${transport}:${path}`;
  }

  abstract putManifest(
    descriptor: Descriptor,
    bytes: Uint8Array,
    tag: string | undefined,
  ): Promise<void>;

  /** Puts the archive in place, whole. */
  abstract finish(options?: CallOptions): Promise<void>;

  has(descriptor: Descriptor): Promise<boolean> {
    return this.layout.has(descriptor);
  }

  get workspace(): string {
    return this.layout.workspace;
  }

  adopt(descriptor: Descriptor, path: string): Promise<void> {
    return this.layout.adopt(descriptor, path);
  }

  putBlob(
    descriptor: Descriptor,
    open: (start: number) => AsyncIterable<Uint8Array>,
    options?: CallOptions,
  ): Promise<void> {
    return this.layout.putBlob(descriptor, open, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.layout.directory, { recursive: true, force: true });
  }
}

/** A layout in a directory that is nobody else's, where there is room for what becomes `path`. */
export async function stagingLayout(path: string): Promise<LayoutDirectory> {
  try {
    return new LayoutDirectory(await mkdtemp(join(dirname(resolve(path)), '.anole-image-')));
  } catch (error) {
    throw hostError(error, `write ${path}`);
  }
}
