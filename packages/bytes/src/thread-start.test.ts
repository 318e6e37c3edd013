import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { threadArguments, threadCode } from './thread-start.ts';

const bundled = Symbol.for('anole.bundle');
/** Starts the same module in a thread of its own, and says what the last of them says. */
const starter = `
import { parentPort, Worker } from 'node:worker_threads';
const { bundle, threadArguments, threadCode } = await import('${import.meta.resolve('./thread-start.ts')}');
const say = (what) => parentPort.postMessage(what);
bundle().check();
if (process.env.ANOLE_DEPTH === '2') say(bundle().machine);
else new Worker(threadCode(new URL('file:///started')), {
  eval: true, execArgv: threadArguments(), env: { ...process.env, ANOLE_DEPTH: '2' },
}).on('message', say);`;

describe('a thread', () => {
  test('keeps what says where modules are, which warnings are wanted, and profiles', () => {
    const given = ['-C', 'x', '--conditions=y', '--input-type=module', '--expose-gc', '-e', 'code'];
    assert.deepEqual(threadArguments(given), ['-C', 'x', '--conditions=y']);
    const more = ['--disable-warning=ExperimentalWarning', '--cpu-prof', '--cpu-prof-dir=/tmp'];
    assert.deepEqual(threadArguments([...more, '--test']), more);
  });

  test('started by a thread finds what takes the place of modules, as that did', async () => {
    const file = `data:text/javascript,${encodeURIComponent(starter)}`;
    Reflect.set(globalThis, bundled, { entries: { 'file:///started': file }, machine: 'stamp' });
    try {
      const code = threadCode(new URL('file:///started'));
      const thread = new Worker(code, { eval: true, execArgv: threadArguments() });
      assert.deepEqual(await once(thread, 'message'), ['stamp']);
    } finally {
      Reflect.deleteProperty(globalThis, bundled);
    }
  });

  test('says so where the bundle of its process is not there any more', async () => {
    const entries = { 'file:///started': 'file:///replaced/entry0-abc.mjs' };
    Reflect.set(globalThis, bundled, { entries, machine: 'stamp' });
    try {
      const thread = new Worker(threadCode(new URL('file:///started')), { eval: true });
      const [error] = await once(thread, 'error');
      assert.match(error.message, /anole was installed anew/);
    } finally {
      Reflect.deleteProperty(globalThis, bundled);
    }
  });
});
