import { mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { CallOptions } from '@anole/bytes';
import { hostError } from '@anole/host';
import { changeImage, LayoutDirectory, writeLayer } from '@anole/oci/node';
import { type Tree, writeTar } from '@anole/vfs';

/** What a container image says of itself beside its files. */
export interface ImageFacts {
  /** Name of the recipe. */
  readonly name: string;
  /** Debian's name, which is Go's for all that recipes have. */
  readonly architecture: string;
  /** Variables of every command. */
  readonly environment: Readonly<Record<string, string>>;
  /** Seconds since 1970: of the packages, not of the clock. */
  readonly created: number;
}

/** What programs expect where a recipe says nothing else. */
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Writes a tree as a container image of one layer: an OCI layout in a directory, which must not exist
 * or be empty, and appears whole or not at all. The same tree gives the same digests.
 */
export async function writeLayout(
  tree: Tree,
  directory: string,
  facts: ImageFacts,
  options: CallOptions = {},
): Promise<void> {
  const goal = resolve(directory);
  let temporary: string | undefined;
  try {
    temporary = await mkdtemp(join(dirname(goal), `.${basename(goal).slice(0, 200)}.`));
    const layout = new LayoutDirectory(temporary);
    // The root of a layer needs no name: its attributes are those of a directory of root.
    const tar = writeTar(tree, { ...options, prefix: '', filter: (each) => each !== '' });
    const layer = await writeLayer(tar, layout, { ...options, scratch: temporary });
    const raw = { architecture: facts.architecture, os: 'linux' };
    await changeImage({ manifest: { layers: [] }, config: { raw } }, layout, 'latest', {
      ...options,
      layers: [layer],
      config: { env: { PATH: path, ...facts.environment }, cmd: ['/bin/sh'] },
      createdBy: `anole os build ${facts.name}`,
      created: new Date(facts.created * 1000).toISOString(),
    });
    // Nobody else has seen this directory.
    await rm(join(temporary, '.anole-lock'), { force: true });
    await rename(temporary, goal);
  } catch (error) {
    if (temporary) await rm(temporary, { recursive: true, force: true });
    throw hostError(error, `write ${directory}`);
  }
}
