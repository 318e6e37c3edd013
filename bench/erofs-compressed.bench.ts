import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage, loadRecipe } from '@anole/compose';
import { median, type Report } from './harness.ts';
import { findMkfs, type Mkfs, type Spent, spend } from './mkfs-erofs.ts';

const MIB = 2 ** 20;
/** Real content of some 250 MB, and of 1.6 GB: compilers, libraries, documents, sources. */
const packages = ['git', 'vim', 'perl', 'procps', 'ca-certificates'];
const compilers = ['g++', 'clang', 'golang-go', 'openjdk-21-jdk-headless'];
const larger = [...compilers, 'python3-scipy', 'texlive-latex-base'];
/** Directories of a hundred small files each. */
const SMALL = 200;
const SMALL_IN_FULL = 1000;
const command = join(import.meta.dirname, '../packages/cli/bin/anole.js');

/** Compressors as `fs mk -z` and mkfs.erofs name them. */
const settings = [
  [],
  ['-zlz4'],
  ['-zlz4', '-Ededupe'],
  ['-zlz4hc,level=9'],
  ['-zlz4hc,level=9', '-C65536', '-Ededupe'],
  ['-zzstd,level=3', '-C65536'],
  ['-zzstd,level=15', '-C65536'],
] as const;
const forSmall = [[], ['-zlz4']] as const;

/**
 * A root file system of packages and a tree of small files, as images by us and by mkfs.erofs. With
 * `--full` they have 1.6 GB and 100,000 files, and go to every mkfs.erofs that can be had: hours where others compute, too,
 * for which the ratio of processor time is given beside that of time.
 */
export default async function erofsCompressed(report: Report): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'anole-bench-erofs-z-'));
  try {
    const found = await findMkfs(base, report.note);
    const peers = report.full ? found : found.slice(-1);
    if (peers.length === 0) return report.skip('build', 'there is no mkfs.erofs');
    const small = join(base, 'small');
    makeSmall(small, report.full ? SMALL_IN_FULL : SMALL);
    for (const options of forSmall) await compare(report, base, small, peers, options);
    const root = join(base, 'root');
    const wanted = report.full ? [...packages, ...larger] : packages;
    const failed = await makeRoot(base, root, wanted).catch((error: unknown) => String(error));
    if (failed) return report.skip('build an image of a root file system', failed);
    for (const options of settings) await compare(report, base, root, peers, options);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

async function makeRoot(base: string, root: string, wanted: readonly string[]): Promise<undefined> {
  const recipe = join(base, 'recipe.yaml');
  const where = { suites: ['trixie'], components: ['main'], architecture: 'amd64' };
  writeFileSync(recipe, JSON.stringify({ ...where, packages: wanted }));
  await buildImage(await loadRecipe(recipe), root, { format: 'dir' });
}

/** Directories of a hundred files of up to 8000 bytes, cut out of a program. */
function makeSmall(path: string, directories: number): void {
  const text = readFileSync(process.execPath);
  for (let directory = 0, at = 0; directory < directories; directory++) {
    const inside = join(path, `package-${directory}`);
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
  source: string,
  peers: readonly Mkfs[],
  options: readonly string[],
): Promise<void> {
  const title = `${options.join(' ') || 'uncompressed'}, ${source.slice(base.length + 1)}`;
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
        run: async () =>
          void spent.peer.push(
            await spend(peer.command, [
              ...forPeer(peer, options),
              '--quiet',
              '-x-1',
              theirs,
              source,
            ]),
          ),
      },
      runs: report.full && !wanted?.startsWith('z') ? 3 : 1,
      target: 0.7,
    });
    const cpu = spent.ours.map((one, at) => one.cpu / spent.peer[at]!.cpu);
    report.figure('processor time, ours to theirs', median(cpu), '');
    report.figure('size, ours to theirs', statSync(ours).size / statSync(theirs).size, '');
    const memory = Math.max(...spent.ours.map((one) => one.memory));
    report.figure('memory of ours at the most (target 512)', memory / MIB, 'MiB');
  }
}

/** Before 1.8 levels stood alone. */
function forPeer({ compressors }: Mkfs, options: readonly string[]): readonly string[] {
  if (compressors.includes('level=')) return options;
  return options.map((option) => option.replace('level=', ''));
}
