import { type TarIndex, type WriteOptions, writeErofs } from '@anole/erofs';
import { BLOCK } from './on-demand/layer-layout.ts';

/** An EROFS image of all that is no data on devices: names, attributes, places, and the data of sparse files. */
export async function namesImage(
  { tree, external }: TarIndex,
  options: Pick<WriteOptions, 'uuid' | 'signal' | 'onProgress'>,
): Promise<Uint8Array> {
  const image = await writeErofs(tree, { external, blockSize: BLOCK, ...options });
  const bytes = new Uint8Array(image.size);
  let at = 0;
  for await (const part of image) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
