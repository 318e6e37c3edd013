import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage, loadRecipe } from '@anole/compose';
import type { Report } from './harness.ts';
import { findMkfs, type Mkfs, type Spent, spend } from './mkfs-erofs.ts';

const MIB = 2 ** 20;
/** Real content of 1.6 GB: programs, compilers, libraries, documents, sources. */
const packages = [
  ...['git', 'vim', 'perl', 'procps', 'ca-certificates', 'g++', 'clang', 'golang-go'],
  ...['openjdk-21-jdk-headless', 'python3-scipy', 'texlive-latex-base'],
];
/** Directories of a hundred small files each. */
const SMALL = 1000;
const command = join(import.meta.dirname, '../packages/cli/bin/anole.js');

interface Setting {
  /** A compressor as `fs mk -z` and mkfs.erofs name it, and what else both take. */
  readonly options: readonly string[];
  /** Counted runs of each side; before more than one there is one that is not counted. */
  readonly runs: number;
  /** Instead of each tree a part of it: mkfs.erofs takes most of an hour for all of the larger one. */
  readonly parts?: { readonly root: string; readonly small: string };
}

const settings: readonly Setting[] = [
  { options: [], runs: 2 },
  { options: ['-zlz4'], runs: 2 },
  { options: ['-zlz4hc,level=9'], runs: 1 },
  { options: ['-zzstd,level=3', '-C65536'], runs: 1 },
  {
    options: ['-zzstd,level=15', '-C65536'],
    runs: 1,
    parts: { root: 'usr/lib/git-core', small: 'part-0' },
  },
];
const inFull: readonly Setting[] = [
  { options: ['-zlz4', '-Ededupe'], runs: 2 },
  { options: ['-zlz4hc,level=9', '-C65536', '-Ededupe'], runs: 1 },
];

/**
 * A root file system of packages, of 1.6 GB, and a tree of 100,000 small files, as images by us and by the newest
 * mkfs.erofs that can be had: minutes where nobody else computes. With `--full` by each mkfs.erofs there is, with more
 * settings, and nothing left out: hours. Where others compute, too, the ratio of processor time says more.
 */
export default async function erofsCompressed(report: Report): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'anole-bench-erofs-z-'));
  try {
    const found = await findMkfs(base, report.note);
    const peers = report.full ? found : found.slice(-1);
    if (peers.length === 0) return report.skip('build', 'there is no mkfs.erofs');
    const wanted = report.full ? [...settings, ...inFull] : settings;
    const all = async (tree: 'root' | 'small') => {
      for (const setting of wanted) await compare(report, base, tree, peers, setting);
    };
    makeSmall(join(base, 'small'));
    await all('small');
    const failed = await makeRoot(base).catch((error: unknown) => String(error));
    if (failed) return report.skip('build an image of a root file system', failed);
    await all('root');
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

async function makeRoot(base: string): Promise<undefined> {
  const recipe = join(base, 'recipe.yaml');
  const where = { suites: ['trixie'], components: ['main'], architecture: 'amd64' };
  writeFileSync(recipe, JSON.stringify({ ...where, packages }));
  await buildImage(await loadRecipe(recipe), join(base, 'root'), { format: 'dir' });
}

/** Directories of a hundred files of up to 8000 bytes, cut out of a program; a hundred directories in each above. */
function makeSmall(path: string): void {
  const text = readFileSync(process.execPath);
  for (let directory = 0, at = 0; directory < SMALL; directory++) {
    const inside = join(path, `part-${Math.floor(directory / 100)}`, `package-${directory}`);
    mkdirSync(inside, { recursive: true });
    for (let file = 0; file < 100; file++) {
      const length = (file * 397 + directory * 61) % 8000;
      at = (at + 104_729) % (text.length - length);
      writeFileSync(join(inside, `file-${file}`), text.subarray(at, at + length));
    }
  }
}

async function compare(
  report: Report,
  base: string,
  tree: 'root' | 'small',
  peers: readonly Mkfs[],
  { options, runs, parts }: Setting,
): Promise<void> {
  const part = report.full ? undefined : parts?.[tree];
  const source = join(base, tree, part ?? '');
  const title = `${options.join(' ') || 'uncompressed'}, ${join(tree, part ?? '')}`;
  const wanted = /^-z(\w+)/.exec(options[0] ?? '')?.[1];
  const ours = join(base, 'ours.erofs');
  const theirs = join(base, 'theirs.erofs');
  const own = ['fs', 'mk', source, '-o', ours, ...options, '--no-xattrs', '-q'];
  for (const peer of peers) {
    const able = wanted === undefined || new RegExp(`\\b${wanted}\\b`).test(peer.compressors);
    if (!able) {
      report.skip(title, `${peer.name} has no ${wanted}`);
      continue;
    }
    const other = [...forPeer(peer, options), '--quiet', '-x-1', theirs, source];
    const spent = { ours: [] as Spent[], peer: [] as Spent[] };
    await report.compare({
      name: `build an image, ${title}`,
      ours: {
        name: 'anole fs mk',
        before: () => rmSync(ours, { force: true }),
        run: async () => void spent.ours.push(await spend(process.execPath, [command, ...own])),
      },
      peer: {
        name: peer.name,
        before: () => rmSync(theirs, { force: true }),
        run: async () => void spent.peer.push(await spend(peer.command, other)),
      },
      runs,
      target: 0.7,
    });
    const cpu = (all: readonly Spent[]) => Math.min(...all.map((one) => one.cpu));
    const [mine, its] = [cpu(spent.ours), cpu(spent.peer)];
    report.note(
      `  processor time ${mine.toFixed(2)} s and ${its.toFixed(2)} s, ratio ${(mine / its).toFixed(2)}; ` +
        `size, ratio ${(statSync(ours).size / statSync(theirs).size).toFixed(4)}; ` +
        `memory of ours at the most ${Math.round(Math.max(...spent.ours.map((one) => one.memory)) / MIB)} MiB (target 512)`,
    );
  }
}

/** Before 1.8 levels stood alone. */
function forPeer({ compressors }: Mkfs, options: readonly string[]): readonly string[] {
  if (compressors.includes('level=')) return options;
  return options.map((option) => option.replace('level=', ''));
}
