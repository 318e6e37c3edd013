import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { AnoleError, memorySource, type Source } from '@anole/bytes';
import { fileSource } from '@anole/host';
import {
  type NamedImage,
  openRafs,
  type RafsBlob,
  type RafsImage,
  readInlined,
} from '@anole/nydus';
import { BlobFiles, nodeCodecs } from '@anole/nydus/node';

export interface BlobFlags {
  readonly blobDir?: readonly string[];
}

/** A RAFS image that is open, until it is disposed of. */
export interface OpenRafs extends Disposable {
  readonly file: string;
  readonly image: RafsImage;
  readonly bootstrap: Source;
  /** Of a blob that holds the bootstrap: what others call its parts, but for its name. */
  readonly inlined: Omit<NonNullable<NamedImage['self']>, 'id'> | undefined;
}

/** Where blobs are, from the directory of their bootstrap. */
const places = ['', 'blobs'];

/** The directories where blobs of a bootstrap are looked for. */
export function blobPlaces(file: string): readonly string[] {
  return places.map((place) => join(dirname(file), place));
}

/**
 * Opens a bootstrap, or a blob that holds one. Blobs are looked for where the user says, else beside it
 * and in `blobs` there.
 */
export async function openRafsFile(file: string, { blobDir }: BlobFlags = {}): Promise<OpenRafs> {
  using resources = new DisposableStack();
  const source = resources.use(fileSource(file));
  const blobs = resources.use(new BlobFiles(blobDir ?? blobPlaces(file)));
  const inlined = await readInlined(source, nodeCodecs);
  const bootstrap = inlined === undefined ? source : memorySource(inlined.bootstrap);
  const resolve = (id: string) => blobs.resolve(id) ?? (inlined && isSelf(id) ? source : undefined);
  const image = await openRafs(bootstrap, resolve, { codecs: nodeCodecs });
  const kept = resources.move();
  return { file, image, bootstrap, inlined, [Symbol.dispose]: () => kept.dispose() };
}

/**
 * An image as another one can refer to it: a blob that holds its bootstrap is called by its digest from
 * now on.
 */
export async function namedImage(
  { image, file, inlined }: OpenRafs,
  signal: AbortSignal,
): Promise<NamedImage> {
  if (inlined === undefined) return { image };
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { signal })) hash.update(chunk as Uint8Array);
  return { image, self: { ...inlined, id: hash.digest('hex') } };
}

/** Names of the blob that a bootstrap lies in: it cannot know its digest. */
function isSelf(id: string): boolean {
  return id === '' || /^x{64}$/.test(id);
}

/**
 * The blobs of a bootstrap that is open already, here or at a URL, whose bytes are looked for beside it
 * when they are needed.
 *
 * @param open opens what has a name like the bootstrap's
 */
export async function blobsBeside(
  name: string,
  bootstrap: Source,
  open: (name: string) => Promise<Source>,
): Promise<readonly RafsBlob[]> {
  const resolve = async (id: string) => {
    for (const place of places) {
      try {
        return await open(sibling(name, join(place, id)));
      } catch (error) {
        if (!AnoleError.is(error) || !/_NOT_FOUND$/.test(error.code)) throw error;
      }
    }
    return undefined;
  };
  return (await openRafs(bootstrap, resolve, { codecs: nodeCodecs })).blobs;
}

function sibling(name: string, path: string): string {
  return /^https?:/i.test(name) ? new URL(path, name).href : join(dirname(name), path);
}
