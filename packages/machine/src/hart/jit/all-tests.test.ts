import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const variants = {
  'with everything compiled at its first jump': ['ANOLE_TEST_JIT'],
  'with everything decoded at its first jump': ['ANOLE_TEST_DECODED'],
  'with RAM that harts share': ['ANOLE_TEST_SHARED'],
  'compiled, with RAM that harts share': ['ANOLE_TEST_JIT', 'ANOLE_TEST_SHARED'],
};

for (const [title, variables] of Object.entries(variants)) {
  test(`all tests of harts pass ${title}`, () => {
    const files = globSync('**/*.test.ts', { cwd: join(import.meta.dirname, '..') })
      .filter((name) => !/^(jit|decoded)/.test(name))
      .map((name) => join(import.meta.dirname, '..', name));
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    for (const name of variables) env[name] = '1';
    const { status, stdout } = spawnSync(
      process.execPath,
      ['--conditions=anole-source', '--test', '--test-reporter=tap', ...files],
      { env, encoding: 'utf8' },
    );
    const failed = stdout.split('\n').filter((line) => /^\s*not ok/.test(line));
    assert.deepEqual(failed, []);
    assert.equal(status, 0);
  });
}
