import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MountFlag, mount, unmount } from '@anole/host/native';
import type { Contestant, Report } from './harness.ts';
import { finish, type ImageMounts, output } from './image-mounts.ts';
import { type LazyImage, PLATFORM } from './lazy-images.ts';

const MEGABYTE = 2 ** 20;
/** Milliseconds. */
const REST = 15_000;

interface Place {
  readonly mounts: ImageMounts;
  readonly directory: string;
}

/** Reading what is here already, beside the same image mounted as any file. */
export async function compareWarm(
  report: Report,
  name: string,
  image: string,
  { mounts, directory }: Place,
): Promise<void> {
  const plain = join(directory, 'plain');
  const file = `${plain}.erofs`;
  mkdirSync(plain, { recursive: true });
  await mounts.start();
  await mounts.mount(image, PLATFORM);
  const files = filesIn(mounts.point).map((path) => relative(mounts.point, path));
  await reading(mounts.point, files).run();
  // Holes stay holes: to read them would be to fetch them. By FUSE other parts would have come.
  await finish('cp', ['--sparse=always', mounts.blobs()[0]!, file]);
  mount(file, plain, 'erofs', MountFlag.readOnly);
  try {
    for (const [how, target] of [
      ['kernel', 1.05],
      ['fuse', 2],
      ['fuse with passthrough', 2],
    ] as const) {
      const kind = how === 'kernel' ? how : 'fuse';
      const passes = how === 'fuse with passthrough';
      await mounts.start(...(passes ? ['--passthrough'] : []));
      await mounts.mount(image, PLATFORM, { kind });
      await reading(mounts.point, files).run();
      if (passes) await passedAll(mounts, files);
      for (const [what, before] of [
        ['from the cache', forget],
        ['from memory', undefined],
      ] as const) {
        await report.compare({
          name: `${name}, ${how}, read again ${what}, beside EROFS mounted plainly`,
          ours: reading(mounts.point, files, before),
          peer: reading(plain, files, before),
          runs: report.full ? 15 : 7,
          target,
        });
      }
    }
  } finally {
    unmount(plain, { lazy: true });
    rmSync(file);
  }
}

/** Reads files until the kernel reads all of them by itself. */
async function passedAll(
  { point, passedOpens }: ImageMounts,
  files: readonly string[],
): Promise<void> {
  for (let before = await passedOpens(); ; ) {
    await reading(point, files).run();
    const now = await passedOpens();
    if (now - before === files.length) return;
    before = now;
  }
}

/** Large files, one after the other: what small ones cost is mostly their names. */
function filesIn(root: string): string[] {
  const { stdout } = spawnSync('find', [root, '-type', 'f', '-size', '+512k'], {
    encoding: 'utf8',
  });
  return stdout.split('\n').filter(Boolean).sort();
}

function reading(root: string, files: readonly string[], before?: () => void): Contestant {
  const paths = files.map((file) => join(root, file));
  return {
    name: basename(root),
    ...(before && { before }),
    run: () => finish('cat', paths).then(() => undefined),
  };
}

/**
 * Lets the kernel forget what it has of all files, so that it reads the disk again: of an image also what is decoded of
 * files packed together, and pclusters, which lie beside those of a file.
 */
function forget(): void {
  spawnSync('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '1');
}

/** What comes when an image that was there before is mounted and started again. */
export async function secondStart(
  report: Report,
  image: LazyImage,
  reference: string,
  { mounts, received }: Place & { received(): number },
): Promise<void> {
  for (const tag of ['lazy', 'fast', 'indexed', 'soci', 'esgz']) {
    await mounts.start();
    const start = async () => {
      await mounts.mount(`${reference}:${tag}`, PLATFORM);
      await output(mounts.point, image.argv);
    };
    await start();
    await mounts.restart();
    const before = received();
    await start();
    const what = `${image.name}, ${tag}: bytes that come for a second start, manifests included`;
    report.figure(what, (received() - before) / 1e3, 'kB');
  }
}

/** Memory of the service with many images mounted, each with a program that ran. */
export async function memoryOfMany(
  report: Report,
  images: readonly { readonly name: string; readonly argv: readonly string[] }[],
  { mounts, directory }: Place,
): Promise<void> {
  for (const kind of ['kernel', 'fuse'] as const) {
    await mounts.start();
    report.figure(
      `memory of the service, nothing mounted`,
      mounts.memory().service / MEGABYTE,
      'MiB',
    );
    for (const [at, { name, argv }] of images.entries()) {
      const point = join(directory, `many-${at}`);
      await mounts.mount(name, PLATFORM, { kind, point });
      await output(point, argv);
    }
    const what = `${images.length} images mounted, ${kind}`;
    const peak = mounts.memory().service;
    report.figure(`memory of the service, ${what}, just now`, peak / MEGABYTE, 'MiB');
    // It gives memory back when it has rested for a while.
    await sleep(REST);
    const { service, all } = mounts.memory();
    report.figure(`memory of the service, ${what}`, service / MEGABYTE, 'MiB (target 120)');
    report.figure(`memory of service, keeper and holder, ${what}`, all / MEGABYTE, 'MiB');
  }
}
