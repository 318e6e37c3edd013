import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openErofs } from '@anole/erofs';
import { fileSource, hostDecoders, hostTree } from '@anole/host';
import { type Tree, walk } from '@anole/vfs';
import type { Report } from './harness.ts';

/** Real content, text and programs, that every Debian has. */
const content = '/usr/lib/git-core:/usr/share/perl:/usr/lib/python3:/usr/include'.split(':');
const settings = [['-zlz4'], ['-zlz4hc', '-C65536']] as const;
const STEP = 1024 * 1024;

/** Reads attributes and data of all files; gives MB/s. */
async function readAll(tree: Tree): Promise<number> {
  const start = performance.now();
  let bytes = 0;
  for await (const { node } of walk(tree)) {
    if (node.stat.type !== 'file') continue;
    for (let at = 0; at < node.stat.size; at += STEP) bytes += (await node.read(at, STEP)).length;
  }
  return bytes / 1000 / (performance.now() - start);
}

async function readImage(image: string): Promise<number> {
  using source = fileSource(image);
  return await readAll(await openErofs(source, { decoders: hostDecoders }));
}

async function readDirectory(path: string): Promise<number> {
  using tree = hostTree(path);
  return await readAll(tree);
}

/** Sequential reading of compressed images by us and by the kernel, which has none of it cached. */
export default async function erofsRead(report: Report): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'anole-bench-erofs-read-'));
  const image = join(base, 'image');
  const mount = join(base, 'mount');
  const source = join(base, 'source');
  const unmount = () => void spawnSync('umount', [mount]);
  const remount = () => {
    unmount();
    spawnSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, mount]);
  };
  try {
    mkdirSync(mount);
    mkdirSync(source);
    for (const path of content) spawnSync('cp', ['-a', path, source], { stdio: 'ignore' });
    for (const options of settings) {
      const name = `read all of an image by mkfs.erofs ${options.join(' ')}`;
      rmSync(image, { force: true });
      const made = spawnSync('mkfs.erofs', ['--quiet', ...options, image, source]);
      const mounted = spawnSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, mount]);
      if (made.status !== 0 || mounted.status !== 0) {
        report.skip(name, 'it needs mkfs.erofs, root and a kernel with EROFS');
        continue;
      }
      await report.compare({
        name,
        ours: { name: 'anole', run: () => readImage(image) },
        peer: { name: 'kernel mount', before: remount, run: () => readDirectory(mount) },
        unit: 'MB/s',
        higherIsBetter: true,
        runs: 3,
        target: 1 / 0.6,
      });
      unmount();
    }
  } finally {
    unmount();
    rmSync(base, { recursive: true, force: true });
  }
}
