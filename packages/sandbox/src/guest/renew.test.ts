import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '@anole/machine';
import { renewProgram, renewSource } from './renew.ts';

test('the program renew is its source, assembled', () => {
  const code = assemble(renewSource, 0x10078n);
  const expected = new Uint8Array(code.buffer, code.byteOffset, code.byteLength);
  assert.deepEqual(renewProgram.subarray(120), expected);
});
