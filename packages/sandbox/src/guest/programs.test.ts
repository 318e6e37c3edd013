import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '@anole/machine';
import { codeAddress } from './elf.ts';
import { launchProgram, launchSource } from './launch.ts';
import { renewProgram, renewSource } from './renew.ts';
import { syncProgram, syncSource } from './sync.ts';

for (const [name, program, source] of [
  ['renew', renewProgram, renewSource],
  ['launch', launchProgram, launchSource],
  ['sync', syncProgram, syncSource],
] as const) {
  test(`the program ${name} is its source, assembled`, () => {
    const code = assemble(source, BigInt(codeAddress));
    const expected = new Uint8Array(code.buffer, code.byteOffset, code.byteLength);
    assert.deepEqual(program.subarray(codeAddress & 0xfff), expected);
  });
}
