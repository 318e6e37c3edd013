// The programs of examples/, as a reader runs them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));

async function run(name: string, words: readonly string[], input = '') {
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv.filter((word) => !word.startsWith('--test')),
      '-C',
      'anole-source',
      join(examples, name),
      ...words,
    ],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { out, err, code };
}

describe('the examples', () => {
  test('run untrusted Python, and say at which limit it ended', async () => {
    const python = (script: string) => run('untrusted-python.ts', [], script);
    const well = await python('import os\nprint("sum", sum(range(10)), os.getuid() > 0)\n');
    assert.equal(well.out, 'sum 45 True\nexit code 0\n', well.err);
    const flood = await python('while True: print("x" * 1000)\n');
    assert.match(flood.out, /^stopped: SANDBOX_OUTPUT\nlimits met: .*output/m);
    // All of it ends with the first refusal: else it goes on until its time is over.
    const endless = 'import os\ntry:\n  while True: os.fork()\nexcept OSError: os.kill(0, 9)\n';
    const bomb = await python(endless);
    assert.match(bomb.out, /^exit code 137\nlimits met: .*processes/m);
    const hog = await python('x = []\nwhile True: x.append(b"x" * (1 << 24))\n');
    assert.match(hog.out, /limits met: memory|MemoryError/);
  });

  test('build with a cache that outlives the sandbox', async () => {
    const cache = mkdtempSync(join(tmpdir(), 'anole-objects-'));
    try {
      const first = await run('build-with-cache.ts', [cache]);
      assert.equal(
        first.out,
        'answer.c: compiled\nmain.c: compiled\nbuilt, prints 42\n\n',
        first.err,
      );
      assert.equal(readdirSync(cache).length, 2);
      const second = await run('build-with-cache.ts', [cache]);
      assert.equal(
        second.out,
        'answer.c: cached\nmain.c: cached\nbuilt, prints 42\n\n',
        second.err,
      );
    } finally {
      rmSync(cache, { recursive: true, force: true });
    }
  });

  test('fork a warmed interpreter a hundred times', async () => {
    // Each copy starts an interpreter of its own again: on a busy computer a few of them tell as much.
    const count = process.env['CI'] === undefined ? 20 : 100;
    const { out, err } = await run('hundred-forks.ts', [String(count)]);
    const n = count - 1;
    assert.equal(out, `{"n": ${n}, "square": ${n * n}}\n${count} answers\n`, err);
  });
});
