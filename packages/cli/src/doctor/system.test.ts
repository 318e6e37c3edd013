import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { imageMounts } from './images.ts';
import { smcKernel, smcRemote, smcShared } from './smc.ts';
import { cache, erofs, fuse, kvm, memory, node, terminal, webAssembly } from './system.ts';

test('the Node that runs the tests has all that is needed', () => {
  assert.equal(node().state, 'ok');
  assert.deepEqual(webAssembly(), {
    name: 'webassembly',
    state: 'ok',
    found: 'sign extension, saturating conversion, tail calls, simd',
  });
});

test('what is missing but not needed says so, and what to do', async () => {
  for (const finding of [
    memory(),
    terminal(),
    kvm(),
    fuse(),
    erofs(),
    await imageMounts(),
    smcShared(),
    smcRemote(),
    smcKernel(),
  ]) {
    assert.notEqual(finding.state, 'missing');
    assert.equal(finding.state === 'optional', finding.next !== undefined, finding.name);
  }
});

test('a cache that cannot be written to is missing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-doctor-'));
  const before = process.env['ANOLE_CACHE'];
  try {
    writeFileSync(join(directory, 'file'), '');
    process.env['ANOLE_CACHE'] = join(directory, 'file', 'cache');
    const finding = await cache();
    assert.equal(finding.state, 'missing');
    assert.match(finding.next ?? '', /ANOLE_CACHE/);
  } finally {
    if (before === undefined) delete process.env['ANOLE_CACHE'];
    else process.env['ANOLE_CACHE'] = before;
    rmSync(directory, { recursive: true });
  }
});
