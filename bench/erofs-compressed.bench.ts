import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage, loadRecipe } from '@anole/compose';
import { openErofs } from '@anole/erofs';
import { fileSource, unpackTree } from '@anole/host';
import type { Report } from './harness.ts';

const packages = ['procps', 'python3', 'perl', 'ca-certificates'];
const anole = join(import.meta.dirname, '../packages/cli/bin/anole.js');
/** One with more compressors than the distribution's, where there is one. */
const mkfs = process.env['ANOLE_MKFS_EROFS'] ?? 'mkfs.erofs';

/** Compressors as `fs mk -z` and mkfs.erofs name them. */
const settings = [['-zlz4'], ['-zlz4hc,9'], ['-zzstd,3', '-C65536']] as const;

/** A root file system made of packages, as compressed images by us and by mkfs.erofs. */
export default async function erofsCompressed(report: Report): Promise<void> {
  const name = 'build a compressed image';
  if (spawnSync(mkfs, ['-V']).error) return report.skip(name, 'mkfs.erofs is not installed');
  const base = mkdtempSync(join(tmpdir(), 'anole-bench-erofs-z-'));
  try {
    const source = await makeSource(base).catch((error: unknown) => String(error));
    if (!source.startsWith(base)) return report.skip(name, `no packages: ${source}`);
    for (const options of settings) await compare(report, base, source, options);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

async function makeSource(base: string): Promise<string> {
  const recipe = join(base, 'recipe.yaml');
  const fields = { suites: ['trixie'], components: ['main'], architecture: 'amd64', packages };
  writeFileSync(recipe, JSON.stringify(fields));
  const image = join(base, 'flat.erofs');
  const cache = join(base, 'cache');
  await buildImage(await loadRecipe(recipe), image, { cache, format: 'erofs' });
  const directory = join(base, 'source');
  mkdirSync(directory);
  using source = fileSource(image);
  await unpackTree(await openErofs(source), directory, { xattrs: false });
  return directory;
}

async function compare(
  report: Report,
  base: string,
  source: string,
  options: readonly string[],
): Promise<void> {
  const title = options.join(' ');
  const ours = join(base, 'ours.erofs');
  const theirs = join(base, 'theirs.erofs');
  const peer = [...options, '--quiet', '-x-1', theirs, source];
  const clear = () => rmSync(theirs, { force: true });
  clear();
  if (spawnSync(mkfs, peer).status !== 0) {
    return report.skip(title, `this mkfs.erofs cannot: ANOLE_MKFS_EROFS names another`);
  }
  const own = [anole, 'fs', 'mk', source, '-o', ours, ...options, '--no-xattrs', '-q'];
  await report.compare({
    name: `${title}: build an image of a root file system`,
    ours: { name: 'anole fs mk', run: () => void execFileSync(process.execPath, own) },
    peer: { name: mkfs, before: clear, run: () => void execFileSync(mkfs, peer) },
    runs: 1,
    target: 0.7,
  });
  report.figure(`${title}: size, ours to theirs`, statSync(ours).size / statSync(theirs).size, '');
}
