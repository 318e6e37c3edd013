import { open, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemCode } from '@anole/host';
import { hasTransport } from '@anole/oci/transports';
import type { TreeSource } from './engine/messages.ts';
import { SandboxError } from './errors.ts';

const superblockOffset = 1024;
const erofsMagic = 0xe0f5e1e2;
const tarMagicOffset = 257;

/** The recipe an image's name stands for (`os:base` → `base`), or undefined for a path. */
export function recipeOf(image: string): string | undefined {
  return /^os:(.+)$/.exec(image)?.[1];
}

/** Whether an image's name is one of a container image: with a transport, or `HOST/NAME`. */
export async function isContainer(image: string): Promise<boolean> {
  if (hasTransport(image)) return true;
  if (await isThere(image)) return await isThere(join(image, 'oci-layout'));
  // No path that is there: a name with a host, as `HOST/NAME:TAG`, is what it can be.
  return /^(?:localhost|[^/]*[.:][^/]*)\/[a-z0-9]/.test(image) && !/^\.{1,2}\//.test(image);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * What a path holds: a directory, an EROFS image or a tar archive.
 *
 * @throws SandboxError `SANDBOX_BAD_IMAGE`
 */
export async function imageAt(image: string): Promise<TreeSource> {
  const path = resolve(image);
  try {
    if ((await stat(path)).isDirectory()) return { kind: 'directory', path };
    const kind = kindOf(await head(path));
    if (kind !== undefined) return { kind, path };
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') throw missing(image);
    throw new SandboxError('SANDBOX_BAD_IMAGE', `Cannot use the image ${image}: ${reason(cause)}`, {
      cause,
    });
  }
  throw new SandboxError(
    'SANDBOX_BAD_IMAGE',
    `Cannot use the image ${image}: it is neither an EROFS image nor a tar archive`,
    { hint: 'Unpack compressed archives first' },
  );
}

function kindOf(bytes: Uint8Array): 'erofs' | 'tar' | undefined {
  if (bytes.length >= superblockOffset + 4) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    if (view.getUint32(superblockOffset, true) === erofsMagic) return 'erofs';
  }
  const magic = new TextDecoder().decode(bytes.subarray(tarMagicOffset, tarMagicOffset + 5));
  return magic === 'ustar' ? 'tar' : undefined;
}

async function head(path: string): Promise<Uint8Array> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read({ buffer: new Uint8Array(2048), position: 0 });
  return buffer.subarray(0, bytesRead);
}

function missing(image: string): SandboxError {
  return new SandboxError('SANDBOX_BAD_IMAGE', `Cannot find the image ${image}`, {
    hint: 'Give os:NAME for a recipe (anole os list), HOST/NAME:TAG for a container image, or a path',
  });
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
