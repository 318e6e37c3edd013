import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { needs, run, type Test, temporary, until } from '../../oci/src/testing/tools.ts';
import { notesPath } from '../src/node/service/notes.ts';

const worker = join(import.meta.dirname, 'keeper-worker.ts');

/** A keeper over a cache of its own, and what it says. */
function keeperOver(test: Test, cache: string) {
  const args = ['-C', 'anole-source', worker, 'keeper', cache];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const keeper = { child, said: '', code: undefined as number | null | undefined };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    keeper.said += text;
  });
  child.on('close', (code) => {
    keeper.code = code;
  });
  test.after(() => void child.kill('SIGKILL'));
  return keeper;
}

const notesOf = (cache: string) => notesPath(cache, join(cache, 'socket'));

interface Noted {
  readonly holders: readonly { readonly id: { readonly pid: number } }[];
  readonly service: { readonly pid: number };
}

const readNotes = (cache: string): Noted => JSON.parse(readFileSync(notesOf(cache), 'utf8'));

/** Processes that hold the worker open: holders, and nobody else who sleeps. */
function holders(): readonly number[] {
  const { stdout } = spawnSync('pgrep', ['-x', 'sleep|sh'], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0 && spawnSync('ls', ['-l', `/proc/${pid}/fd`]).stdout.includes(worker));
}

const servicePid = (said: string) => Number(/serving (\d+)(?![\s\S]*serving)/.exec(said)?.[1]);

describe('a keeper', { skip: needs('root', 'pgrep') }, () => {
  it('that cannot write its notes keeps the holder that they name, and leaves no other behind', async (test) => {
    const cache = mkdtempSync(join(tmpdir(), 'anole-keeper-'));
    run('mount', '-t', 'tmpfs', '-o', 'size=512k', 'small', cache);
    test.after(() => {
      spawnSync('umount', ['--lazy', cache]);
      rmdirSync(cache);
    });
    const keeper = keeperOver(test, cache);
    await until('the service serves', () => keeper.said.includes('serving'));
    await until('it is noted', () => existsSync(notesOf(cache)) && holders().length === 1);
    const [first] = holders();
    const tell = async () => {
      const before = keeper.said.split('told').length;
      process.kill(servicePid(keeper.said), 'SIGUSR2');
      await until('it is told', () => keeper.said.split('told').length > before);
    };
    const fill = () => spawnSync('dd', ['if=/dev/zero', `of=${join(cache, 'filler')}`, 'bs=4k']);
    fill();
    await tell();
    await until('the room for notes is used', () => readNotes(cache).holders[0]!.id.pid !== first);
    await until('the former ends', () => holders().length === 1);
    const [second] = holders();
    assert.doesNotMatch(keeper.said, /would not outlive/);
    rmSync(join(cache, 'filler'));
    rmSync(`${notesOf(cache)}.room`, { force: true });
    fill();
    await tell();
    assert.match(keeper.said, /would not outlive/);
    await until('the new one ends', () => holders().length === 1);
    assert.deepEqual(holders(), [second]);
    rmSync(join(cache, 'filler'));
    await until('it is tried again', () => readNotes(cache).holders[0]!.id.pid !== second);
    await until('the former ends', () => holders().length === 1);
    keeper.child.kill('SIGTERM');
    await until('the keeper ends', () => keeper.code !== undefined);
    assert.deepEqual(holders(), []);
    assert.equal(existsSync(notesOf(cache)), false);
  });

  it('that has mounts of another goes on until a service can', async (test) => {
    const cache = temporary(test);
    const killed = keeperOver(test, cache);
    await until('the service serves', () => killed.said.includes('serving'));
    killed.child.kill('SIGKILL');
    await until('the keeper ends', () => killed.code !== undefined || killed.child.killed);
    writeFileSync(join(cache, 'fail'), '');
    const next = keeperOver(test, cache);
    await until('it has tried', () => next.said.split('starting it again').length > 3);
    rmSync(join(cache, 'fail'));
    await until('the service serves', () => next.said.includes('serving'));
    assert.match(next.said, /serving \d+ 1\n/);
    next.child.kill('SIGTERM');
    await until('the keeper ends', () => next.code !== undefined);
    assert.equal(next.code, 0);
    assert.deepEqual(holders(), []);
  });

  it('that has nothing mounted gives up where not even the first service begins', async (test) => {
    const cache = temporary(test);
    writeFileSync(join(cache, 'fail'), '');
    const keeper = keeperOver(test, cache);
    await until('the keeper ends', () => keeper.code !== undefined);
    assert.notEqual(keeper.code, 0);
  });

  it('puts aside what is no notes, and begins', async (test) => {
    for (const text of [
      '',
      '{',
      'null',
      '{"version":1}',
      '{"version":1,"holders":[{}],"mounts":[]}',
    ]) {
      const cache = temporary(test);
      mkdirSync(cache, { recursive: true });
      writeFileSync(notesOf(cache), text);
      const keeper = keeperOver(test, cache);
      await until('the service serves', () => keeper.said.includes('serving'));
      assert.match(keeper.said, /put aside/);
      assert.equal(readFileSync(`${notesOf(cache)}.wrong`, 'utf8'), text);
      keeper.child.kill('SIGTERM');
      await until('the keeper ends', () => keeper.code !== undefined);
    }
  });
});
