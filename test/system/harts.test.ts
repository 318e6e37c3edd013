import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sandbox } from '@anole/sandbox';

/** Programs that share memory between the processors of a guest. */
describe('a sandbox with several processors', () => {
  let directory: string;
  let sandbox: Sandbox;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'anole-harts-'));
    cpSync(join(import.meta.dirname, 'harts', 'litmus.c'), join(directory, 'litmus.c'));
    const volumes = [{ host: directory, guest: '/work' }];
    sandbox = await Sandbox.create('os:gcc', { cpus: 2, memoryMiB: 768, volumes });
  });
  after(async () => {
    await sandbox.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function run(command: string, from = sandbox): Promise<string> {
    const { exit, stdout, stderr } = await (await from.exec(['sh', '-c', command])).output();
    assert.equal(exit.code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  it('shows them all', async () => {
    assert.equal(await run('nproc'), '2');
    assert.equal(await run('grep -c ^processor /proc/cpuinfo'), '2');
    assert.equal(await run('grep ^hart[[:space:]]*: /proc/cpuinfo | tail -1'), 'hart\t\t: 1');
  });

  it('runs threads that C11 atomics, mutexes and condition variables keep in order', async () => {
    const build = 'gcc -O2 -pthread -o /tmp/litmus /work/litmus.c';
    assert.equal(await run(`${build} && /tmp/litmus`), '2 processors agree');
  });

  it('makes in parallel what it makes in sequence', async () => {
    const source = 'for i in 1 2 3 4 5 6; do seq $i 60000 | sha256sum; done';
    const parallel =
      'for i in 1 2 3 4 5 6; do (seq $i 60000 | sha256sum > /tmp/sum$i) & done; wait';
    assert.equal(await run(`${parallel}; cat /tmp/sum?`), await run(source));
  });

  it('goes on in a fork, on processors of its own', async () => {
    await using copy = await sandbox.fork();
    assert.equal(await run('nproc', copy), '2');
    assert.equal(await run('/tmp/litmus', copy), '2 processors agree');
    assert.equal(await run('/tmp/litmus'), '2 processors agree');
  });
});
