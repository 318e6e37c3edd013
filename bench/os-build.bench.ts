import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage, loadRecipe, openArchive, openPool } from '@anole/compose';
import type { Report } from './harness.ts';

const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const packages = ['procps', 'python3', 'ca-certificates'];

/**
 * The same packages to a tar, warm: both have every package file at hand. mmdebstrap still asks its
 * mirror for the package lists; we build from a lock.
 */
export default async function osBuild(report: Report): Promise<void> {
  const reason = cannotCompare();
  if (reason !== undefined) return report.skip('os build, warm cache', reason);
  const directory = mkdtempSync(join(tmpdir(), 'anole-bench-'));
  try {
    await compare(report, directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function compare(report: Report, directory: string): Promise<void> {
  const file = join(directory, 'recipe.yaml');
  const fields = { suites: ['trixie'], components: ['main'], architecture, packages };
  writeFileSync(file, JSON.stringify(fields));
  const cache = join(directory, 'cache');
  const recipe = await loadRecipe(file);
  const build = (format: 'tar' | 'erofs') =>
    buildImage(recipe, join(directory, `ours.${format}`), { cache, format });
  const { lock } = await build('tar');
  const debs = join(directory, 'debs');
  mkdirSync(debs);
  const pool = await openPool({ suites: ['trixie'], cache });
  for (const one of lock.packages) {
    const name = `${one.name}_${one.version.replaceAll(':', '%3a')}_${one.architecture}.deb`;
    copyFileSync((await pool.fetch(one)).path, join(debs, name));
  }
  const archive = await openArchive({
    suites: ['trixie'],
    components: ['main'],
    architecture,
    cache,
  });
  const peer = peerCommand(debs, join(directory, 'theirs.tar'), archive.releases[0]!.uri);
  await report.compare({
    name: `os build, warm cache, ${lock.packages.length} packages to a tar`,
    ours: { name: 'anole', run: () => build('tar').then(() => undefined) },
    peer: {
      name: 'mmdebstrap',
      run: () => void execFileSync('mmdebstrap', peer, { stdio: 'ignore' }),
    },
    runs: 3,
    target: 0.33,
  });
  const start = performance.now();
  const { path } = await build('erofs');
  report.figure('the same to EROFS', (performance.now() - start) / 1000, 's');
  report.figure('size of the image', statSync(path).size / 1e6, 'MB');
}

function peerCommand(debs: string, output: string, uri: string): string[] {
  const archives = '"$1"/var/cache/apt/archives/';
  return [
    '--mode=root',
    '--variant=essential',
    `--architectures=${architecture}`,
    `--include=${packages.join(',')}`,
    '--aptopt=Apt::Install-Recommends "false"',
    `--setup-hook=mkdir -p ${archives} && cp ${debs}/*.deb ${archives}`,
    'trixie',
    output,
    uri,
  ];
}

function cannotCompare(): string | undefined {
  if (process.getuid?.() !== 0) return 'mmdebstrap needs root';
  try {
    execFileSync('mmdebstrap', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'mmdebstrap is not installed';
  }
}
