import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { type BuildResult, buildImage, loadRecipe, openArchive } from '@anole/compose';
import { fileSource, hostTree } from '@anole/host';
import { compareTrees, type Difference, renderDifference, treeFromTar } from '@anole/vfs';

// mmdebstrap installs the same packages with apt, dpkg and their real maintainer scripts: what we
// replay of the scripts must come to the same tree.

const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const packages = [
  'apt',
  'ca-certificates',
  'kmod',
  'less',
  'nano',
  'netbase',
  'openssh-client',
  'procps',
  'python3',
  'sudo',
  'tzdata',
  'xz-utils',
];

/** Every difference that remains, and why it may. */
const explained: readonly (readonly [RegExp, string])[] = [
  [/^\/dev$|^\/dev\//, 'device nodes are of the system that runs'],
  [/__pycache__/, 'bytecode is left out on purpose'],
  [/^\/etc\/(passwd|group|shadow|gshadow)-$|^\/etc\/\.pwd\.lock$/, 'backups and locks of shadow'],
  [
    /^\/var\/lib\/dpkg\/(status|diversions)-old$|^\/var\/lib\/dpkg\/(lock|lock-frontend|triggers\/Lock)$/,
    'backups and locks of dpkg',
  ],
  [/^\/var\/lib\/dpkg\/diversions$/, 'dpkg keeps diversions in the order of a hash table'],
  [/^\/var\/lib\/pam\/seen$/, 'pam-auth-update writes its profiles in the order of a hash table'],
  [/^\/etc\/rc.\.d\/[SK]/, 'no init of System V runs in an image'],
  [
    /^\/etc\/ld\.so\.cache$/,
    'ldconfig shares the tails of strings; the next test compares the contents',
  ],
  [/^\/etc\/apt\/(sources\.list|apt\.conf\.d\/99mmdebstrap)$/, 'of the tool that made the image'],
  [
    /^\/etc\/(fstab|hostname|hosts|resolv\.conf|machine-id|timezone|mtab|environment|default\/locale)$/,
    'of the recipe',
  ],
  [/^\/etc\/shadow$/, 'dated by the image, not by the day it was made'],
  [/^\/var\/(cache\/(apt|debconf)|lib\/apt)\//, "apt's and debconf's own bookkeeping"],
  [/^\/var\/log\/(apt|dpkg\.log|alternatives\.log)/, 'logs'],
];

const isRoot = process.getuid?.() === 0;
const skip = !isRoot ? 'mmdebstrap and chroot need root' : missing('mmdebstrap');

suite('an image of real packages', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-mmdebstrap-'));
  const ours = join(directory, 'ours');
  let built: BuildResult;

  before(async () => {
    const recipe = join(directory, 'recipe.yaml');
    const fields = {
      suites: ['trixie'],
      components: ['main'],
      architecture,
      packages,
      essential: true,
    };
    writeFileSync(recipe, JSON.stringify(fields));
    const cache = join(directory, 'cache');
    const wanted = { suites: ['trixie'], components: ['main'], architecture, cache };
    const { releases } = await openArchive(wanted);
    const flags = ['--mode=root', '--variant=essential', `--architectures=${architecture}`];
    const option = '--aptopt=Apt::Install-Recommends "false"';
    const include = `--include=${packages.join(',')}`;
    const theirs = [join(directory, 'theirs.tar'), releases[0]!.uri];
    // At the same time: both wait for the mirror more than for the processor.
    [built] = await Promise.all([
      buildImage(await loadRecipe(recipe), ours, { cache, format: 'dir' }),
      promisify(execFile)('mmdebstrap', [
        '--quiet',
        ...flags,
        option,
        include,
        'trixie',
        ...theirs,
      ]),
    ]);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('is the tree that apt and dpkg make of them, but for what is explained', async () => {
    using tar = fileSource(join(directory, 'theirs.tar'));
    const theirs = await treeFromTar(tar);
    const tree = hostTree(ours);
    const open: Difference[] = [];
    for await (const difference of compareTrees(tree, theirs, { ignore: ['mtime'] })) {
      if (!explained.some(([path]) => path.test(`/${difference.path}`))) open.push(difference);
    }
    await tree.close?.();
    assert.deepEqual(open.map(renderDifference), []);
  });

  test('leaves no maintainer script unknown', () => {
    assert.deepEqual(
      built.scripts.filter(({ status }) => status === 'unknown'),
      [],
    );
  });

  test('works: dpkg finds nothing to repair, programs find their libraries and modules', () => {
    const run = (...command: string[]) =>
      execFileSync('chroot', [ours, ...command], { encoding: 'utf8' });
    assert.equal(run('dpkg', '--audit'), '');
    assert.match(run('dpkg', '-l', 'python3'), /^ii {2}python3 /m);
    assert.equal(run('python3', '-c', 'import json, ssl; print(json.dumps([1]))'), '[1]\n');
    assert.match(run('sh', '-c', 'apt-get check 2>&1'), /Reading package lists/);
    assert.equal(run('readlink', '-f', '/usr/bin/pager'), '/usr/bin/less\n');
  });

  test('has the cache of libraries that ldconfig writes', () => {
    const list = () =>
      execFileSync('ldconfig', ['-p', '-C', join(ours, 'etc/ld.so.cache')], { encoding: 'utf8' });
    const before = list()
      .split('\n')
      .filter((line) => line.includes('=>'));
    execFileSync('chroot', [ours, 'ldconfig']);
    assert.deepEqual(
      before,
      list()
        .split('\n')
        .filter((line) => line.includes('=>')),
    );
  });
});

function missing(tool: string): string | false {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return `${tool} is not installed`;
  }
}
