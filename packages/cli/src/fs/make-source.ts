import { type ExternalData, indexTar } from '@anole/erofs';
import { fileSource } from '@anole/host';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import type { DeviceFlags } from './image.ts';
import { type OpenTree, openTree } from './open-tree.ts';

/** What says how the source of an image is read. */
export interface SourceFlags extends DeviceFlags {
  readonly output: string;
  readonly xattrs: boolean;
  /** `f`: the archive's files are copied; `i`: the image refers to them in the archive. */
  readonly tar?: string;
}

/** A tree to make an image of; with data that stay where they are, where that is. */
export interface MakeSource extends OpenTree {
  readonly external?: ExternalData;
}

export async function openMakeSource(
  name: string,
  flags: SourceFlags,
  context: CommandContext,
): Promise<MakeSource> {
  const { tar = 'f' } = flags;
  if (tar === 'f') return await openTree(name, context, flags);
  if (tar !== 'i') throw usageError(`Cannot use --tar ${tar}: give f or i`, 'fs mk');
  if (name === '-') {
    throw usageError('Cannot refer to an archive on standard input: give a file', 'fs mk');
  }
  const source = fileSource(name);
  try {
    const { signal } = context;
    return {
      ...(await indexTar(source, { signal })),
      async [Symbol.asyncDispose]() {
        source.close();
      },
    };
  } catch (error) {
    source.close();
    throw error;
  }
}
