import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openErofs, writeErofs } from '@anole/erofs';
import { fileSource, hostTree } from '@anole/host';
import { type Tree, walk } from '@anole/vfs';
import type { Bench } from './harness.ts';

/** A tree like a small system: many small files, some large ones. About 200 MB. */
function makeSource(path: string): void {
  for (let directory = 0; directory < 200; directory++) {
    const inside = join(path, `package-${directory}`);
    mkdirSync(inside, { recursive: true });
    for (let file = 0; file < 50; file++) {
      writeFileSync(join(inside, `file-${file}`), Buffer.alloc((file * 397) % 12_000, `${file} `));
    }
  }
  for (let file = 0; file < 6; file++) {
    writeFileSync(join(path, `large-${file}`), Buffer.alloc(25_000_000, `large ${file}\n`));
  }
}

async function makeImage(source: string, image: string): Promise<undefined> {
  using tree = hostTree(source);
  const fd = openSync(image, 'w');
  for await (const chunk of await writeErofs(tree)) writeSync(fd, chunk);
  closeSync(fd);
}

/** Reads attributes and data of all files. */
async function readAll(tree: Tree): Promise<undefined> {
  const chunk = 1024 * 1024;
  for await (const { node } of walk(tree)) {
    if (node.stat.type !== 'file') continue;
    for (let at = 0; at < node.stat.size; at += chunk) await node.read(at, chunk);
  }
}

async function readImage(image: string): Promise<undefined> {
  using source = fileSource(image);
  await readAll(await openErofs(source));
}

async function readDirectory(path: string): Promise<undefined> {
  using tree = hostTree(path);
  await readAll(tree);
}

const bench: Bench = async (report) => {
  const runs = report.full ? 5 : 2;
  const base = mkdtempSync(join(tmpdir(), 'anole-bench-erofs-'));
  const source = join(base, 'source');
  const image = join(base, 'ours.img');
  const mount = join(base, 'mount');
  let mounted = false;
  try {
    makeSource(source);
    mkdirSync(mount);
    const peers = join(base, 'peer.img');
    if (spawnSync('mkfs.erofs', ['-V']).error) report.skip('build', 'mkfs.erofs is not installed');
    else {
      await report.compare({
        name: 'build an image of 10,000 small and 6 large files',
        target: 2,
        runs,
        ours: { name: 'anole', run: () => makeImage(source, image) },
        peer: {
          name: 'mkfs.erofs',
          run: () => void spawnSync('mkfs.erofs', ['--quiet', peers, source]),
        },
      });
    }
    await makeImage(source, image);
    mounted = spawnSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, mount]).status === 0;
    if (!mounted) report.skip('read', 'mounting needs root and a kernel with EROFS');
    else {
      await report.compare({
        name: 'read all of an image',
        target: 1,
        runs,
        ours: { name: 'anole', run: () => readImage(image) },
        peer: { name: 'kernel mount, same walk', run: () => readDirectory(mount) },
      });
      await report.compare({
        name: 'read all of an image',
        runs,
        ours: { name: 'anole', run: () => readImage(image) },
        peer: {
          name: 'kernel mount and tar',
          // To /dev/null itself tar would not read.
          run: () => void spawnSync('sh', ['-c', `tar -C "${mount}" -cf - . | cat >/dev/null`]),
        },
      });
    }
  } finally {
    if (mounted) spawnSync('umount', [mount]);
    rmSync(base, { recursive: true, force: true });
  }
};

export default bench;
