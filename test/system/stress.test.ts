import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sandbox } from '@anole/sandbox';

/** What stress-ng loads only for a display stays out: most of its bytes. */
const recipe = `
description: stress-ng
extends: base
packages: [stress-ng]
exclude: ['/usr/lib/*/libLLVM*', '/usr/lib/*/libgallium*', '/usr/lib/*/libz3*', '/usr/lib/*/gbm/**']
`;

/**
 * Instances and operations of stressors, most of which check what they did. Left out are mutex and sem,
 * which when they are done wait for a signal that nobody sends, and sigfpe, whose divisions by zero raise no
 * signal on RISC-V.
 */
const stressors: readonly (readonly [name: string, instances: number, operations: number])[] = [
  ['atomic', 2, 10],
  ['context', 1, 100],
  ['cpu', 1, 5],
  ['fork', 2, 10],
  ['futex', 2, 50],
  ['itimer', 1, 50],
  ['lockbus', 2, 5],
  ['matrix', 1, 10],
  ['misaligned', 1, 10],
  ['mprotect', 2, 100],
  ['pipe', 2, 500],
  ['pthread', 2, 10],
  ['qsort', 1, 1],
  ['regs', 1, 50],
  ['sigsegv', 2, 50],
  ['switch', 2, 300],
  ['tlb-shootdown', 1, 3],
  ['vm', 1, 200],
];

const job = [
  'run sequential',
  'verify',
  'matrix-size 32',
  'qsort-size 4096',
  'vm-bytes 1m',
  ...stressors.flatMap(([name, instances, operations]) => [
    `${name} ${instances}`,
    `${name}-ops ${operations}`,
  ]),
].join('\n');

describe('stress-ng in a guest finds nothing wrong', () => {
  let directory: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'anole-stress-'));
    writeFileSync(join(directory, 'stress.yaml'), recipe);
    writeFileSync(join(directory, 'job'), `${job}\n`);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  for (const cpus of [1, 2]) {
    it(`with ${cpus === 1 ? 'one hart' : 'two harts'}`, async () => {
      const volumes = [{ host: directory, guest: '/work' }];
      const image = `os:${directory}/stress.yaml`;
      await using sandbox = await Sandbox.create(image, { cpus, volumes });
      const argv = ['stress-ng', '--stdout', '--job', '/work/job'];
      const { exit, stdout } = await (await sandbox.exec(argv, { cwd: '/tmp' })).output();
      const said = new TextDecoder().decode(stdout);
      assert.equal(exit.code, 0, said);
      assert.match(said, /failed: 0$/m);
      const passed = /passed: \d+: (.*)$/m.exec(said)?.[1] ?? said;
      const expected = stressors.map(([name, instances]) => `${name} (${instances})`);
      assert.deepEqual(passed.split(/(?<=\)) /).sort(), expected);
    });
  }
});
