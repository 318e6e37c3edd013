import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareVersions, parseVersion } from './version.ts';

test('a version is taken apart at its first colon and last hyphen', () => {
  assert.deepEqual(parseVersion('1:2-3-4'), { epoch: 1, upstream: '2-3', revision: '4' });
  assert.deepEqual(parseVersion('2.0'), { epoch: 0, upstream: '2.0', revision: '' });
});

test('what is no version is a coded error', () => {
  for (const text of ['', '-1', '1-', 'a:1', ':1', '1_0', '1 0', '1:', '9'.repeat(2000)]) {
    assert.throws(() => parseVersion(text), { code: 'ARCHIVE_BAD_VERSION' }, text);
  }
});

test('versions from the oldest to the newest', () => {
  const rising = [
    '0~~',
    '0~',
    '0',
    '1.0~rc1',
    '1.0',
    '1.0-1~b',
    '1.0-1',
    '1.0-1+b1',
    '1.0a',
    '1:0',
  ];
  for (const [at, version] of rising.entries()) {
    for (const [other, against] of rising.entries()) {
      assert.equal(Math.sign(compareVersions(version, against)), Math.sign(at - other));
    }
  }
  assert.equal(compareVersions('1.0', '1.0-0'), 0);
  assert.equal(compareVersions('0:1.01', '1.1'), 0);
});

const part = fc.constantFrom('0', '1', '9', '10', '007', 'a', 'Z', 'rc', '.', '+', '~', '~~', '-');
const version = fc
  .tuple(fc.constantFrom('', '', '0:', '1:', '12:'), fc.nat(9), fc.array(part, { maxLength: 6 }))
  .map(([epoch, digit, parts]) => `${epoch}${digit}${parts.join('')}`.replace(/-+$/, ''));

test('versions compare as dpkg compares them', (context) => {
  if (spawnSync('dpkg', ['--version']).error) return context.skip('dpkg is not installed');
  const pairs = fc.sample(fc.tuple(version, version), { seed: 7, numRuns: 1500 });
  const lines = pairs.map(([a, b]) => {
    const difference = compareVersions(a, b);
    const relation = difference < 0 ? 'lt' : difference > 0 ? 'gt' : 'eq';
    return `dpkg --compare-versions '${a}' ${relation} '${b}' || echo '${a} ${relation} ${b}'`;
  });
  const { stdout, stderr } = spawnSync('sh', [], { input: lines.join('\n'), encoding: 'utf8' });
  assert.equal(stdout, '');
  assert.equal(stderr, '');
});

test('the order is total', () => {
  const property = fc.property(version, version, version, (a, b, c) => {
    assert.equal(Math.sign(compareVersions(a, b)), 0 - Math.sign(compareVersions(b, a)));
    if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
      assert.ok(compareVersions(a, c) <= 0);
    }
  });
  fc.assert(property, { seed: 7, numRuns: 1000 });
});
