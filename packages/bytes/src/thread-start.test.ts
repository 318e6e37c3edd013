import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadArguments } from './thread-start.ts';

test('threads keep what says where modules are, which warnings are wanted, and profiles', () => {
  const given = ['-C', 'x', '--conditions=y', '--input-type=module', '--expose-gc', '-e', 'code'];
  assert.deepEqual(threadArguments(given), ['-C', 'x', '--conditions=y']);
  const more = ['--disable-warning=ExperimentalWarning', '--cpu-prof', '--cpu-prof-dir=/tmp'];
  assert.deepEqual(threadArguments([...more, '--test']), more);
});
