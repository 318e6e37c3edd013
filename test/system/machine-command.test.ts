import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { buildElf, code } from '../../packages/machine/src/platform/testing/programs.ts';

const anole = join(import.meta.dirname, '../../packages/cli/bin/anole.js');

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [anole, 'machine', ...args], {
    encoding: 'utf8',
    timeout: 600_000,
  });
  return { status, stdout, stderr };
}

/** Prints A, leaves a signature and ends with the exit code given. */
const program = (exitCode: number) =>
  buildElf({
    code: code(`lui t0, 0x10000
      addi t1, zero, 65
      sb t1, 0(t0)
      lui t0, 0x80001
      slli t0, t0, 32
      srli t0, t0, 32
      addi t1, zero, -1
      sw t1, 256(t0)
      addi t1, zero, ${exitCode * 2 + 1}
      sd t1, 0(t0)
      end: jal zero, end`),
    symbols: {
      tohost: 0x8000_1000,
      begin_signature: 0x8000_1100,
      end_signature: 0x8000_1108,
    },
  });

describe('anole machine elf', () => {
  let directory: string;
  const file = (name: string, bytes: Uint8Array): string => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return path;
  };

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'anole-machine-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('exits with the code of the program and writes its signature', () => {
    const signature = join(directory, 'out.sig');
    const result = run('elf', file('a.elf', program(7)), '--signature', signature);
    assert.deepEqual(result, { status: 7, stdout: 'A', stderr: '' });
    assert.equal(readFileSync(signature, 'utf8'), 'ffffffff\n00000000\n');
  });

  it('runs the same compiled, compiled at once, and interpreted', () => {
    const elf = file('d.elf', program(7));
    for (const flags of [[], ['--jit-after', '1'], ['--no-jit']]) {
      assert.deepEqual(run('elf', elf, ...flags), { status: 7, stdout: 'A', stderr: '' });
    }
  });

  it('says 255 for a code that does not fit, and the whole with --json', () => {
    const result = run('elf', file('b.elf', program(300)), '--json');
    assert.equal(result.status, 255);
    assert.equal(JSON.parse(result.stdout).exitCode, 300);
  });

  it('refuses what it cannot run, with a code, and writes nothing', () => {
    const signature = join(directory, 'none.sig');
    const cases: [string, string, ...string[]][] = [
      ['MACHINE_WRONG_ARCHITECTURE', process.execPath],
      ['MACHINE_BAD_ELF', anole],
      ['CLI_FILE', join(directory, 'missing.elf')],
      ['MACHINE_INSTRUCTION_LIMIT', file('c.elf', program(0)), '--max-instructions', '5'],
    ];
    for (const [expected, ...args] of cases) {
      const result = run('elf', ...args, '--signature', signature);
      assert.equal(result.status, 1);
      assert.match(result.stderr, new RegExp(`code: ${expected}`));
      assert.equal(existsSync(signature), false);
    }
    assert.equal(run('elf', 'x', '--max-instructions', 'many').status, 2);
    assert.equal(run('elf', 'x', '--jit-after', '0').status, 2);
  });

  it('refuses a kernel that is none', () => {
    const result = run('boot', anole);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /code: MACHINE_BAD_KERNEL/);
  });
});
