import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-os-'));
after(() => rmSync(base, { recursive: true, force: true }));

function anole(...args: string[]) {
  const argv = ['-C', 'anole-source', main, 'os', ...args];
  const env = { ...process.env, ANOLE_CACHE: join(base, 'cache') };
  return spawnSync(process.execPath, argv, { env, encoding: 'utf8', cwd: base });
}

test('os list names the built-in recipes with what they are', () => {
  const { status, stdout } = anole('list');
  assert.equal(status, 0);
  assert.match(stdout, /^base +A small Debian/m);
  assert.match(stdout, /^python +/m);
});

test('os show lays a recipe open, with where its lock will be', () => {
  const { stdout } = anole('show', 'python', '--arch', 'arm64', '--json');
  const { recipe, lockPath, lock, drift } = JSON.parse(stdout);
  assert.equal(recipe.kernelPackage, 'linux-image-arm64');
  assert.ok(recipe.packages.includes('python3'));
  assert.equal(lockPath, join(base, 'cache/locks/python.arm64.lock.yaml'));
  assert.deepEqual([lock, drift], [null, []]);
  assert.match(anole('show', 'python').stdout, /^packages +all essential ones, procps, python3$/m);
});

test('a mistake in a recipe is shown where it is, and nothing is written', () => {
  const recipe = join(base, 'wrong.yaml');
  writeFileSync(recipe, 'extends: base\npackages:\n  - Not A Name\n');
  const { status, stderr, stdout } = anole('build', recipe, '-o', 'out.erofs');
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^anole: Cannot read the recipe .*\n {2}.*wrong\.yaml:3:5: packages\[0\] is no name/m,
  );
  assert.match(stderr, /code: RECIPE_INVALID/);
  assert.equal(stdout, '');
  assert.equal(existsSync(join(base, 'out.erofs')), false);
});

test('--locked without a lock says how to get one', () => {
  const { status, stderr } = anole('build', 'base', '--locked', '-o', 'out.erofs', '--json');
  assert.equal(status, 1);
  const { error } = JSON.parse(stderr);
  assert.equal(error.code, 'LOCK_MISSING');
  assert.match(error.hint, /anole os lock base/);
});

test('wrong usage ends with 2', () => {
  assert.equal(anole('build', 'base', '--format', 'tar').status, 2);
  assert.match(anole('build', 'base', '--format', 'zip', '-o', 'x').stderr, /erofs, tar, dir/);
});
