import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { cachedKernel, loadRecipe } from '@anole/compose';
import { Machine, type MachineExit } from '@anole/machine';

const COMMAND_LINE = 'console=ttyS0 cryptomgr.notests panic=-1';
const hasQemu = spawnSync('qemu-system-riscv64', ['--version']).status === 0;
const skip = hasQemu ? false : 'qemu-system-riscv64 is not installed (Debian: qemu-system-misc)';

/**
 * What the kernel says of the two boards differs for good reason in these: their names, OpenSBI's
 * banner and extensions, the hypervisor extension, the wider PCI bus, timings and addresses.
 */
const ofTheBoard =
  /OpenSBI|SBI |SRST|PMU|pmu|qemu|Machine model|Hardware name|riscv: |reserved|pci|unaligned|isa"|memory-ranges|nomap|Memory:|Zone|node |Early|mem |software IO TLB|percpu|Run|^$/;

/** Lines that may differ all the same: the two run at different speeds. */
const TOLERATED = 3;

interface Boot {
  readonly log: string;
  readonly exit: MachineExit;
  readonly instructions: number;
}

async function bootHere(
  kernel: Uint8Array,
  clock: 'real' | 'instructions',
  cpus = 1,
): Promise<Boot> {
  const decoder = new TextDecoder();
  let log = '';
  const machine = await Machine.create({
    kernel,
    commandLine: COMMAND_LINE,
    clock,
    cpus,
    onSerial: (bytes) => {
      log += decoder.decode(bytes, { stream: true });
    },
  });
  const exit = await machine.run();
  return { exit, log, instructions: machine.statistics.instructions };
}

async function bootQemu(kernel: string, cpus = 1): Promise<string> {
  const qemu = spawn(
    'qemu-system-riscv64',
    ['-M', 'virt', '-m', '512', '-smp', String(cpus), '-nographic', '-no-reboot'].concat([
      ...['-kernel', kernel],
      ...['-append', COMMAND_LINE],
    ]),
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let log = '';
  for await (const chunk of qemu.stdout) log += chunk;
  return log;
}

/** The kernel's lines without times and numbers, those of the board left out. */
function essence(log: string): Set<string> {
  const lines = log
    .split(/\r?\n/)
    .filter((line) => /^\[ *\d+\.\d+\] /.test(line))
    .map((line) => line.replace(/^\[ *[\d.]+\] /, ''))
    .filter((line) => !ofTheBoard.test(line))
    .map((line) => line.replace(/0x[\da-f]+|[\da-f]{8,}|\d+/g, 'N').trim());
  return new Set(lines);
}

describe('the kernel of Debian, booted without a root', () => {
  let path: string;
  let kernel: Uint8Array;
  let here: Boot;

  before(async () => {
    ({ path } = await cachedKernel(await loadRecipe('base')));
    kernel = readFileSync(path);
    here = await bootHere(kernel, 'instructions');
  });

  it('panics for want of a root, and the machine says so', () => {
    assert.equal(here.exit.reason, 'panic', here.log);
    assert.ok(here.exit.reason === 'panic' && /unable to mount root/i.test(here.exit.message));
  });

  it('finds every device of the board', () => {
    for (const expected of [
      /SBI specification v2\.0 detected/,
      /riscv-plic: plic@c000000: mapped 95 interrupts with 1 handlers for 2 contexts/,
      /10000000\.serial: ttyS0 at MMIO 0x10000000 .* is a 16550A/,
      /goldfish_rtc 101000\.rtc: setting system clock to 1970/,
      /pci-host-generic 30000000\.pci: PCI host bridge to bus 0000:00/,
    ]) {
      assert.match(here.log, expected);
    }
    assert.doesNotMatch(here.log, /WARNING:|BUG:|Oops/);
  });

  it('says the same on QEMU, the board aside', { skip }, async () => {
    const theirs = essence(await bootQemu(path));
    const ours = essence(here.log);
    assert.ok(theirs.size > 80, `${theirs.size} lines`);
    const missing = [...theirs].filter((line) => !ours.has(line));
    const more = [...ours].filter((line) => !theirs.has(line));
    assert.ok(missing.length <= TOLERATED, missing.join('\n'));
    assert.ok(more.length <= TOLERATED, more.join('\n'));
  });

  it('boots the same way again by the clock of instructions, to the last one', async () => {
    const again = await bootHere(kernel, 'instructions');
    assert.equal(again.log, here.log);
    assert.equal(again.instructions, here.instructions);
  });

  it('brings up several harts as on QEMU', { skip }, async () => {
    const ofHarts = (log: string): string[] =>
      log
        .split(/\r?\n/)
        .map((line) => line.replace(/^\[ *[\d.]+\] /, '').trim())
        .filter((line) => /^(smp: |CPU\d|SLUB: |rcu: .*CPU|riscv-plic)/.test(line))
        .map((line) => line.replace(/plic@\w+|mapped \d+/g, 'N'))
        .sort();
    const { log } = await bootHere(kernel, 'real', 4);
    assert.match(log, /smp: Brought up 1 node, 4 CPUs/);
    assert.doesNotMatch(log, /WARNING:|BUG:|Oops|failed to come online/);
    assert.deepEqual(ofHarts(log), ofHarts(await bootQemu(path, 4)));
  });

  it('boots by the clock of the host', async () => {
    const { exit } = await bootHere(kernel, 'real');
    assert.equal(exit.reason, 'panic');
  });
});
