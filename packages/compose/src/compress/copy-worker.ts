import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import { type HostNode, hostTree, serveCrew } from '@anole/host';
import { COPY_COLUMNS, type CopyJob, type CopyTask } from './copy-job.ts';

/** Blocks of small files are written together. */
const GATHERED = 1024 * 1024;

const { directory, fd, blockSize } = workerData as CopyTask;
const tree = hostTree(directory);

const gathered = new Uint8Array(GATHERED);
let used = 0;
/** Byte of the image at which what is gathered goes. */
let start = 0;

let lastDirectory: { readonly path: string; readonly node: HostNode } = {
  path: '/',
  node: tree.root,
};

serveCrew(({ offset, bytes, directories, names, numbers }: CopyJob): undefined => {
  for (const [index, name] of names.entries()) {
    const column = (at: number) => numbers[index * COPY_COLUMNS + at]!;
    const [ino, tail, tailTo] = [column(0), column(4), column(5)];
    const range = { from: column(1), length: column(2), to: column(3) };
    const directory = directories[index]!;
    const path = `${directory === '/' ? '' : directory}/${name}`;
    const node = find(directory)?.lookup(name);
    if (node?.stat.ino !== ino) throw changed(path, 'it is not what it was');
    if (range.length + tail > GATHERED) copyLarge(node, path, range);
    else {
      const end = gather(node, path, range, tail);
      if (tail > 0) bytes.set(gathered.subarray(end, end + tail), tailTo - offset);
    }
  }
  flush();
  writeAll(bytes, offset);
});

interface Range {
  readonly from: number;
  readonly length: number;
  readonly to: number;
}

function find(path: string): HostNode | undefined {
  if (path === lastDirectory.path) return lastDirectory.node;
  let node: HostNode | undefined = tree.root;
  for (const name of path.split('/')) if (name !== '') node = node?.lookup(name);
  if (node) lastDirectory = { path, node };
  return node;
}

/** Reads a range, and the tail behind it, to where it is written from later. Returns where that ends. */
function gather(node: HostNode, path: string, { from, length, to }: Range, tail: number): number {
  const padding = to - (start + used);
  const follows = length === 0 || (padding >= 0 && padding < blockSize);
  if (!follows || used + Math.max(padding, 0) + length + tail > GATHERED) flush();
  if (length > 0) {
    if (used === 0) start = to;
    gathered.fill(0, used, to - start);
    used = to - start;
  }
  const end = used + length;
  const count = node.readInto(from, gathered.subarray(used, end + tail));
  if (count !== length + tail) throw cutShort(path, count, length + tail, from);
  used = end;
  return end;
}

function copyLarge(node: HostNode, path: string, { from, length, to }: Range): void {
  flush();
  for (let done = 0; done < length; done += GATHERED) {
    const part = gathered.subarray(0, Math.min(GATHERED, length - done));
    const count = node.readInto(from + done, part);
    if (count !== part.length) throw cutShort(path, count, part.length, from + done);
    writeAll(part, to + done);
  }
}

function flush(): void {
  writeAll(gathered.subarray(0, used), start);
  used = 0;
}

function writeAll(bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
  }
}

function cutShort(path: string, left: number, wanted: number, offset: number): AnoleError {
  return changed(path, `${left} of ${wanted} bytes are left at ${offset}`);
}

function changed(path: string, how: string): AnoleError {
  return new AnoleError('EROFS_SOURCE_CHANGED', `Cannot store ${path}: ${how}`, {
    details: { path },
    hint: 'the tree changed while it was read: try again when nothing writes to it',
  });
}
