import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { fileSource } from '@anole/host';
import type { TreeSource } from '../engine/messages.ts';

const blockBytes = 4096;
const blocks = 64;
const edgeBytes = 65536;

/**
 * What tells an image from others, on whatever computer: a hash of its size, its beginning, its end and
 * some blocks in between, so that it takes no longer for a large one. For mistakes, not against malice. A
 * directory is the very one: its numbers of inodes are part of what a guest knows.
 *
 * @throws HostError where the image is not there
 */
export function fingerprint(root: TreeSource): string {
  const { kind, path } = root;
  if (kind === 'on-demand')
    return `${kind}:${root.image.layers.map(({ digest }) => digest).join('+')}`;
  if (kind === 'directory') {
    const { dev, ino } = statSync(path);
    return `directory:${dev}:${ino}`;
  }
  using file = fileSource(path);
  const { size } = file;
  const hash = createHash('sha256').update(`${kind}:${size}:`);
  const edge = Math.min(edgeBytes, size);
  hash.update(file.read(0, edge)).update(file.read(size - edge, edge));
  for (let block = 1; block < blocks && size > 2 * edgeBytes; block++) {
    const at = Math.floor((block * (size - blockBytes)) / blocks);
    hash.update(file.read(at, blockBytes));
  }
  return `${kind}:${hash.digest('hex')}`;
}

/** {@link fingerprint}; undefined where the image is not there, or cannot be read. */
export function fingerprintOf(root: TreeSource): string | undefined {
  try {
    return fingerprint(root);
  } catch {
    return undefined;
  }
}
