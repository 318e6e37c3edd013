import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

test('all tests of harts pass with everything compiled at its first jump', () => {
  const files = globSync('**/*.test.ts', { cwd: join(import.meta.dirname, '..') })
    .filter((name) => !name.startsWith('jit'))
    .map((name) => join(import.meta.dirname, '..', name));
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--conditions=anole-source', '--test', '--test-reporter=tap', ...files],
    { env: { ...env, ANOLE_TEST_JIT: '1' }, encoding: 'utf8' },
  );
  const failed = stdout.split('\n').filter((line) => /^\s*not ok/.test(line));
  assert.deepEqual(failed, []);
  assert.equal(status, 0);
});
