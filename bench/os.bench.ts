import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findMirrors } from '@anole/compose';
import type { Bench } from './harness.ts';
import { hasProgram, runProgram } from './programs.ts';

const cli = join(import.meta.dirname, '../packages/cli/bin/anole.js');

const recipe = `description: essential packages and procps, nothing left out
distribution: debian
suites: [trixie]
components: [main]
architecture: amd64
essential: true
recommends: false
packages: [procps]
`;

/** `anole os build` beside mmdebstrap: the same packages for amd64, downloads done before. */
const bench: Bench = async (report) => {
  if (!hasProgram('mmdebstrap')) return report.skip('os build', 'mmdebstrap is not installed');
  if (process.getuid?.() !== 0) return report.skip('os build', 'mmdebstrap needs root here');
  const { main } = await findMirrors({});
  const mirror = main[0]?.uris[0];
  if (mirror === undefined) return report.skip('os build', 'no Debian mirror is configured');
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  const recipePath = join(directory, 'bench.yaml');
  await writeFile(recipePath, recipe);
  const build = () => {
    const args = ['os', 'build', recipePath, '--format', 'tar', '-o', join(directory, 'ours.tar')];
    runProgram(process.execPath, [cli, ...args, '--quiet']);
    return undefined;
  };
  const debs = join(directory, 'debs');
  const bootstrap = () => {
    runProgram('mmdebstrap', [
      '--mode=root',
      '--variant=essential',
      '--include=procps',
      '--skip=download/empty,essential/unlink',
      `--setup-hook=mkdir -p ${debs} "$1"/var/cache/apt/archives/`,
      `--setup-hook=sync-in ${debs} /var/cache/apt/archives/`,
      `--customize-hook=sync-out /var/cache/apt/archives ${debs}`,
      '--architectures=amd64',
      'trixie',
      join(directory, 'theirs.tar'),
      mirror,
    ]);
    return undefined;
  };
  try {
    await report.compare({
      name: 'os build, warm cache',
      ours: { name: 'anole', run: build },
      peer: { name: 'mmdebstrap', run: bootstrap },
      runs: 3,
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};
export default bench;
