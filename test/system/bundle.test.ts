import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

const root = join(import.meta.dirname, '../..');
const bin = join(root, 'packages/cli/bin/anole.js');
const source = join(root, 'packages/cli/src/table.ts');

/** What `anole --version` prints, and whether it came from the bundle. */
function version(env: Readonly<Record<string, string>> = {}): readonly string[] {
  const program = `process.argv = [process.execPath, ${JSON.stringify(bin)}, '--version'];
    await import(process.argv[1]);
    console.log(globalThis[Symbol.for('anole.bundle')] === undefined ? 'sources' : 'bundle');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  assert.equal(stderr, '');
  return stdout.trim().split('\n');
}

describe('the bundle of the command', () => {
  test('is used while the sources are what they were, and only then', () => {
    const made = spawnSync(process.execPath, [join(root, 'tools/bundle.ts')], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    const [number, from] = version();
    assert.equal(from, 'bundle');
    assert.deepEqual(version({ ANOLE_BUNDLE: '0' }), [number, 'sources']);
    // What is loaded later shares modules with what waits for it.
    for (const verb of ['run', 'fs']) {
      const help = spawnSync(process.execPath, [bin, verb, '--help'], { encoding: 'utf8' });
      assert.match(help.stdout, new RegExp(`^Usage: anole ${verb} `));
      assert.deepEqual([help.status, help.stderr], [0, '']);
    }
    const { atime, mtime } = statSync(source);
    utimesSync(source, atime, new Date(mtime.getTime() + 1000));
    try {
      assert.deepEqual(version(), [number, 'sources']);
    } finally {
      utimesSync(source, atime, mtime);
    }
  });
});
