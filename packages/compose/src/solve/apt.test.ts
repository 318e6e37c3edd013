import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { scratchDirectory } from '../archive/archive.fixture.ts';
import { ArchiveError } from '../archive/errors.ts';
import { openArchive } from '../archive/open.ts';
import type { PackageIndex } from '../archive/types.ts';
import { solve } from './solve.ts';

test('the solver picks the packages that apt picks', async (context) => {
  if (spawnSync('apt-get', ['--version']).error) return context.skip('apt-get is not installed');
  const cache = scratchDirectory(context);
  const index = await openIndex(cache);
  if (typeof index === 'string') return context.skip(`no mirror serves trixie here: ${index}`);
  const apt = emptySystem(context, largestFile(join(cache, 'sha256')));
  const base = index.having('Essential', 'yes').map(({ name }) => name);
  const requests: [packages: string[], recommends: boolean][] = [
    [base, false],
    [[...base, 'apt', 'python3', 'perl', 'gcc', 'libc6-dev', 'systemd', 'openssh-server'], false],
    [['nginx', 'default-jdk-headless', 'postfix', 'git', 'python3-flask-talisman'], true],
  ];
  for (const [packages, recommends] of requests) {
    const ours = solve(index, { packages, essential: false, recommends });
    const names = ours.packages.map(({ name, version }) => `${name} ${version}`);
    assert.deepEqual(names.toSorted(), apt(packages, recommends), packages.join(' '));
  }
});

/** The index of the machine's own mirror, or why there is none. */
async function openIndex(cache: string): Promise<PackageIndex | string> {
  const request = { suites: ['trixie'], components: ['main'], architecture: 'riscv64', cache };
  try {
    return (await openArchive(request)).packages;
  } catch (error) {
    if (error instanceof ArchiveError) return error.message;
    throw error;
  }
}

/** The index as the cache has it: the only large file there. */
function largestFile(directory: string): string {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return files.toSorted((a, b) => statSync(b).size - statSync(a).size)[0]!;
}

type Apt = (packages: readonly string[], recommends: boolean) => string[];

/** An apt that knows the packages of one index and believes that nothing is installed. */
function emptySystem(context: TestContext, index: string): Apt {
  const root = scratchDirectory(context);
  for (const directory of [
    'etc/apt/apt.conf.d',
    'etc/apt/preferences.d',
    'etc/apt/sources.list.d',
    'var/lib/apt/lists/partial',
    'var/lib/dpkg',
    'var/cache/apt/archives/partial',
    'repository',
  ]) {
    mkdirSync(join(root, directory), { recursive: true });
  }
  symlinkSync(index, join(root, 'repository/Packages'));
  writeFileSync(join(root, 'var/lib/dpkg/status'), '');
  const source = `deb [trusted=yes] file:${root}/repository ./\n`;
  writeFileSync(join(root, 'etc/apt/sources.list'), source);
  const configuration = join(root, 'apt.conf');
  const settings = [
    `Dir "${root}";`,
    `Dir::State::status "${root}/var/lib/dpkg/status";`,
    'APT::Architecture "riscv64";',
    'APT::Architectures { "riscv64"; };',
    'APT::Solver "internal";',
    'APT::Sandbox::User "";',
    'Acquire::Languages "none";',
  ];
  writeFileSync(configuration, settings.join('\n'));
  const run = (...options: readonly string[]) =>
    execFileSync('apt-get', options, {
      encoding: 'utf8',
      env: { ...process.env, APT_CONFIG: configuration, LC_ALL: 'C' },
      maxBuffer: 1 << 26,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  run('update');
  return (packages, recommends) => {
    const option = `APT::Install-Recommends=${recommends}`;
    const output = run('--simulate', '-o', option, 'install', ...packages);
    const found = output.matchAll(/^Inst ([^ :]+)\S* \((\S+) /gm);
    return [...found].map(([, name, version]) => `${name} ${version}`).toSorted();
  };
}
