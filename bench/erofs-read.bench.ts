import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openErofs } from '@anole/erofs';
import { fileSource, hostDecoders } from '@anole/host';
import { type TreeNode, walk } from '@anole/vfs';
import type { Report } from './harness.ts';

/** Real content, text and programs, that every Debian has. */
const content = '/usr/lib/git-core:/usr/share/perl:/usr/lib/python3:/usr/include'.split(':');
const mkfs = (...options: string[]) => ['mkfs.erofs', '--quiet', ...options];
/** By itself: `npx` takes longer to start than the command takes. */
const anole = [
  process.execPath,
  join(import.meta.dirname, '../packages/cli/bin/anole.js'),
] as const;
const ours = (...options: string[]) => [...anole, 'fs', 'mk', '-q', ...options];

/** Images, and who makes them: what this mkfs.erofs does not compress, we do. */
type Made = readonly [name: string, command: readonly string[]];
const images: readonly Made[] = [
  ['lz4', mkfs('-zlz4')],
  ['no compression', mkfs()],
];
const more: readonly Made[] = [
  ['lz4hc -C65536', mkfs('-zlz4hc', '-C65536')],
  ['zstd -C65536', ours('-z', 'zstd', '-C', '65536')],
  ['deflate -C65536', ours('-z', 'deflate', '-C', '65536')],
];
const STEP = 1024 * 1024;

/** An image, mounted by the kernel, and a file in it to read from at random. */
interface Place {
  readonly image: string;
  readonly mount: string;
  readonly target: string;
  readonly program: string;
}

/** Reads attributes and data of all files; gives MB/s. */
async function readImage({ image }: Place): Promise<number> {
  const start = performance.now();
  using source = fileSource(image);
  const tree = await openErofs(source, { decoders: hostDecoders });
  let bytes = 0;
  for await (const { node } of walk(tree)) {
    if (node.stat.type !== 'file') continue;
    for (let at = 0; at < node.stat.size; at += STEP) bytes += (await node.read(at, STEP)).length;
  }
  return bytes / 1000 / (performance.now() - start);
}

/** As above by programs on the kernel's mount, whose pages are not cached. */
function readMount({ mount }: Place): number {
  const start = performance.now();
  const read = 'find "$0" -type f -print0 | xargs -0 cat | wc -c';
  const { stdout } = spawnSync('sh', ['-c', read, mount], { encoding: 'utf8' });
  return Number(stdout) / 1000 / (performance.now() - start);
}

async function walkImage({ image }: Place): Promise<number> {
  const start = performance.now();
  using source = fileSource(image);
  let names = 0;
  for await (const { node } of walk(await openErofs(source))) names += node.stat.ino > 0 ? 1 : 0;
  return names / 1000 / ((performance.now() - start) / 1000);
}

function walkMount({ mount }: Place): number {
  const start = performance.now();
  const { stdout } = spawnSync('find', [mount, '-printf', '%s %i\n'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  return stdout.split('\n').length / 1000 / ((performance.now() - start) / 1000);
}

const READS = 2000;

/** Offsets that are the same for both. */
function offsets(size: number): number[] {
  let state = 1;
  return Array.from({ length: READS }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor(((state / 2 ** 32) * size) / 4096) * 4096;
  });
}

async function randomImage({ image, program }: Place): Promise<number> {
  using source = fileSource(image);
  const tree = await openErofs(source, { decoders: hostDecoders });
  let node: TreeNode | undefined = tree.root;
  for (const part of program.split('/')) node = await node?.lookup(part);
  const places = offsets(node!.stat.size);
  const start = performance.now();
  for (const at of places) await node!.read(at, 4096);
  return READS / 1000 / ((performance.now() - start) / 1000);
}

function randomMount({ mount, program }: Place): number {
  const path = join(mount, program);
  const places = offsets(statSync(path).size);
  const fd = openSync(path, 'r');
  const buffer = Buffer.alloc(4096);
  const start = performance.now();
  for (const at of places) readSync(fd, buffer, 0, 4096, at);
  closeSync(fd);
  return READS / 1000 / ((performance.now() - start) / 1000);
}

async function compareOn(report: Report, name: string, place: Place): Promise<void> {
  const before = () => void remount(place);
  const runs = report.full ? 3 : 1;
  const shared = { higherIsBetter: true, runs } as const;
  await report.compare({
    name: `read all of an image, ${name}`,
    ours: { name: 'anole, one thread', run: () => readImage(place) },
    peer: { name: 'kernel mount, cat', before, run: () => readMount(place) },
    unit: 'MB/s',
    target: 1 / 0.6,
    ...shared,
  });
  const clean = () => rmSync(place.target, { recursive: true, force: true });
  await report.compare({
    name: `unpack an image, ${name}`,
    ours: { name: 'anole', before: clean, run: () => unpackOurs(place) },
    peer: { name: 'fsck.erofs --extract', before: clean, run: () => unpackPeer(place) },
    runs,
    target: 1,
  });
  await report.compare({
    name: `read 4 KiB at random, ${name}`,
    ours: { name: 'anole', run: () => randomImage(place) },
    peer: { name: 'kernel mount, not cached', before, run: () => randomMount(place) },
    unit: 'thousand/s',
    ...shared,
  });
}

function unpackOurs({ image, target }: Place): undefined {
  const [program, command] = anole;
  spawnSync(program, [command, 'fs', 'unpack', '-q', image, target], { stdio: 'ignore' });
}

function unpackPeer({ image, target }: Place): undefined {
  spawnSync('fsck.erofs', [`--extract=${target}`, image], { stdio: 'ignore' });
}

function unmount({ mount }: Place): void {
  spawnSync('umount', [mount], { stdio: 'ignore' });
}

function remount(place: Place): boolean {
  unmount(place);
  const args = ['-t', 'erofs', '-o', 'loop,ro', place.image, place.mount];
  return spawnSync('mount', args).status === 0;
}

/**
 * Reading, unpacking and walking images, beside the kernel's mount and fsck.erofs. With `--full` by all
 * algorithms and three times each.
 */
export default async function erofsRead(report: Report): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'anole-bench-erofs-read-'));
  const [image, mount, source] = [join(base, 'image'), join(base, 'mount'), join(base, 'source')];
  const place = { image, mount, target: join(base, 'target'), program: 'program' };
  try {
    mkdirSync(mount);
    mkdirSync(source);
    for (const path of content) spawnSync('cp', ['-a', path, source], { stdio: 'ignore' });
    spawnSync('cp', [process.execPath, join(source, 'program')]);
    for (const [name, [program, ...options]] of report.full ? [...images, ...more] : images) {
      rmSync(image, { force: true });
      const paths = program === anole[0] ? [source, '-o', image] : [image, source];
      const made = spawnSync(program!, [...options, ...paths]);
      if (made.status !== 0 || !remount(place)) {
        report.skip(name, 'it needs mkfs.erofs, root and a kernel with EROFS');
        continue;
      }
      await compareOn(report, name, place);
    }
    await report.compare({
      name: 'walk an image, all attributes',
      ours: { name: 'anole', run: () => walkImage(place) },
      peer: {
        name: 'kernel mount, find',
        before: () => void remount(place),
        run: () => walkMount(place),
      },
      unit: 'thousand names/s',
      higherIsBetter: true,
      runs: report.full ? 5 : 1,
    });
  } finally {
    unmount(place);
    rmSync(base, { recursive: true, force: true });
  }
}
