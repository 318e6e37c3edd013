import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { probeModule } from './fused.ts';
import { hasFusedMultiplyAdd, probe } from './has-fused.ts';

test('the module that asks the host for fused multiply-add is the one that would be made', () => {
  assert.equal(probe, Buffer.from(probeModule()).toString('base64'));
});

test('a host whose processor fuses is told from one that rounds twice', async () => {
  const fuses = process.arch === 'arm64' || / fma /.test(readFileSync('/proc/cpuinfo', 'utf8'));
  assert.equal(await hasFusedMultiplyAdd(), fuses && WebAssembly.validate(probeModule()));
});
