import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError } from '@anole/bytes';
import fc from 'fast-check';
import { loadRecipe } from './load.ts';
import { compareLocks, lockDate, lockDrift, makeLock, parseLock, writeLock } from './lock.ts';

const file = (name: string, version = '1.0') => ({
  name,
  version,
  architecture: 'riscv64',
  suite: 'trixie',
  filename: `pool/${name}.deb`,
  size: 10,
  sha256: 'ab'.repeat(32),
});
const release = (suite: string, date: number) => ({
  suite,
  codename: suite,
  version: '13.2',
  date,
  uri: '',
  signedBy: [],
});
const recipe = await loadRecipe('base');
const lock = makeLock(
  recipe,
  [release('trixie', 1000), release('trixie-updates', 2000)],
  [file('bash'), file('dash')],
  file('linux-image-6'),
);

test('a lock is read back as it was written, twice the same', () => {
  const text = writeLock(lock);
  assert.deepEqual(parseLock(text, 'x'), lock);
  assert.equal(writeLock(parseLock(text, 'x')), text);
});

test('an image is dated by the newest suite', () => assert.equal(lockDate(lock), 2000));

test('a lock fits the recipe it was made for, and drift is told line by line', () => {
  assert.deepEqual(lockDrift(lock, recipe), []);
  const changed = { ...recipe, packages: ['less'], recommends: true };
  assert.deepEqual(lockDrift(lock, changed), [
    'packages: + less',
    'packages: - procps',
    'recommends: false is locked, true is wanted',
  ]);
});

test('locks are compared package by package', () => {
  const after = { ...lock, packages: [file('bash', '2.0'), file('zsh')] };
  assert.deepEqual(compareLocks(lock, after), ['~ bash 1.0 -> 2.0', '- dash 1.0', '+ zsh 1.0']);
});

const bad: Readonly<Record<string, string>> = {
  nothing: '',
  'another version': writeLock(lock).replace('version: 1', 'version: 2'),
  'a wrong hash': writeLock(lock).replace('ab'.repeat(32), 'xy'),
  'a path that climbs': writeLock(lock).replace('pool/bash.deb', '../../etc/passwd'),
  'broken YAML': 'a: [',
};
for (const [what, text] of Object.entries(bad)) {
  test(`a lock with ${what} is refused`, () => {
    assert.throws(() => parseLock(text, 'x.lock.yaml'), { code: 'LOCK_INVALID', hint: /os lock/ });
  });
}

test('damaged locks give coded errors', () => {
  const text = writeLock(lock);
  fc.assert(
    fc.property(fc.nat(text.length), fc.nat(20), fc.string({ maxLength: 3 }), (at, cut, put) => {
      try {
        parseLock(text.slice(0, at) + put + text.slice(at + cut), 'x');
      } catch (error) {
        assert.ok(AnoleError.is(error), String(error));
      }
    }),
    { seed: 59, numRuns: 300 },
  );
});
