import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadArguments } from './thread-arguments.ts';

test('threads inherit everything where they can', () => {
  assert.deepEqual(threadArguments(['-C', 'x', '--expose-gc']), {});
});

test('threads of a program from the command line keep only the conditions', () => {
  const given = ['-C', 'x', '--conditions=y', '--input-type=module', '--expose-gc', '-e', 'code'];
  assert.deepEqual(threadArguments(given), { execArgv: ['-C', 'x', '--conditions=y'] });
});
