import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { paragraph, sha256, type TestPackage } from './archive.fixture.ts';
import { ArchiveError } from './errors.ts';
import { parsePackageIndex } from './package-index.ts';

function file(packages: readonly TestPackage[], suite = 'trixie', notAutomatic = false) {
  return { suite, bytes: Buffer.from(packages.map(paragraph).join('\n')), notAutomatic };
}

test('a package is found by name, with its fields', () => {
  const fields = {
    Source: 'shells (1.0)',
    'Installed-Size': '7',
    Essential: 'yes',
    Priority: 'required',
    'Multi-Arch': 'foreign',
    'Pre-Depends': 'libc6 (>= 2.36)',
    Description: 'Grüße',
  };
  const index = parsePackageIndex([file([{ name: 'bash', fields }])], 'riscv64');
  const bash = index.get('bash')!;
  assert.equal(index.get('zsh'), undefined);
  assert.equal(bash.source, 'shells');
  assert.equal(bash.installedSize, 7168);
  assert.equal(bash.essential, true);
  assert.equal(bash.multiArch, 'foreign');
  assert.deepEqual(bash.preDepends, [[{ name: 'libc6', relation: '>=', version: '2.36' }]]);
  assert.deepEqual(bash.depends, []);
  assert.equal(bash.filename, 'pool/bash_1.0_riscv64.deb');
  assert.equal(bash.sha256, sha256('bash'));
  assert.equal(bash.fields.get('Description'), 'Grüße');
});

test('the newest version comes first, of whatever suite, unless its suite is not automatic', () => {
  const files = [
    file([{ name: 'a', version: '1.0-1' }]),
    file([{ name: 'a', version: '1.0-1+deb13u1' }], 'trixie-security'),
    file([{ name: 'a', version: '2.0-1' }], 'trixie-backports', true),
    file([{ name: 'a', version: '1.0-1' }], 'trixie-updates'),
  ];
  const index = parsePackageIndex(files, 'riscv64');
  assert.deepEqual(
    index.versions('a').map(({ version, suite }) => `${version} ${suite}`),
    ['1.0-1+deb13u1 trixie-security', '1.0-1 trixie', '2.0-1 trixie-backports'],
  );
  assert.equal(index.get('a', '2.0-1')!.suite, 'trixie-backports');
  assert.equal(index.size, 4);
});

test('providers and packages with a field are found by their newest versions', () => {
  const provider = (name: string, version: string, provides: string) => ({
    name,
    version,
    fields: { Priority: 'important', Provides: provides },
  });
  const packages = [
    provider('mawk', '1', 'awk'),
    provider('mawk', '2', 'other'),
    provider('gawk', '1', 'x (= 1), awk (= 5),awk'),
    { name: 'awk' },
  ];
  const index = parsePackageIndex([file(packages)], 'riscv64');
  const names = (records: readonly { name: string }[]) => records.map(({ name }) => name);
  assert.deepEqual(names(index.providers('awk')), ['gawk']);
  assert.deepEqual(names(index.having('Priority', 'important')), ['gawk', 'mawk']);
  assert.deepEqual(names([...index]), ['awk', 'gawk', 'mawk']);
});

test('a paragraph that cannot be used is refused when it is asked for', () => {
  const good = paragraph({ name: 'a' });
  const bad = [
    good.replace('pool/a', '../a'),
    good.replace('pool/a', '/etc//a'),
    good.replace(/SHA256: .*/, 'SHA256: 1'),
    good.replace(/Size: .*/, 'Size: -1'),
    good.replace('1.0\n', '_\n'),
    good.replace('Architecture: ', 'Arch: '),
  ];
  for (const text of bad) {
    const index = parsePackageIndex([{ suite: 's', bytes: Buffer.from(text) }], 'riscv64');
    assert.throws(() => index.get('a'), ArchiveError, text);
  }
});

test('any damage to an index is a coded error at worst', () => {
  const whole = Buffer.from(
    [{ name: 'a', fields: { Provides: 'x', Depends: 'b | c' } }, { name: 'b' }]
      .map(paragraph)
      .join('\n'),
  );
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1 });
  const property = fc.property(damage, (changes) => {
    const bytes = Buffer.from(whole);
    for (const [at, value] of changes) bytes[at] = value % 3 === 0 ? 10 : value;
    try {
      const index = parsePackageIndex([{ suite: 's', bytes }], 'riscv64');
      for (const record of index) [record.depends, record.provides, record.installedSize];
      index.providers('x');
      index.having('Provides', 'x');
    } catch (error) {
      assert.ok(error instanceof ArchiveError, String(error));
    }
  });
  fc.assert(property, { seed: 7, numRuns: 500 });
});
