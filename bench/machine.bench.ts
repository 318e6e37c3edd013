import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Machine } from '@anole/machine';
import { type BenchGuest, benchGuest, readyMark } from './guest.ts';
import { type Bench, median } from './harness.ts';
import { hasProgram } from './programs.ts';

const qemu = 'qemu-system-riscv64';
const commandLine = 'console=ttyS0 quiet cryptomgr.notests';

/** The machine beside QEMU's TCG: same kernel, same initramfs, one hart, same command line. */
const bench: Bench = async (report) => {
  const guest = await benchGuest('');
  const rates: number[] = [];
  const ours = async () => {
    const { seconds, instructions, busy } = await bootHere(guest);
    rates.push(instructions / busy / 1e6);
    return seconds;
  };
  if (!hasProgram(qemu)) {
    await ours();
    report.skip('boot to init', `${qemu} is not installed`);
  } else {
    await using files = await onDisk(guest);
    await report.compare({
      name: 'boot to init',
      ours: { name: 'anole', run: ours },
      peer: { name: 'QEMU TCG', run: () => bootInQemu(guest.kernel, files.initrd) },
      runs: 3,
    });
  }
  report.figure('boot instructions per second (target 60)', median(rates), 'million');
};
export default bench;

async function bootHere({ kernel, initrd }: BenchGuest) {
  const bytes = await readFile(kernel);
  const start = performance.now();
  let seconds = 0;
  let text = '';
  await using machine = await Machine.create({
    kernel: bytes,
    initrd,
    commandLine,
    onSerial(chunk) {
      text += new TextDecoder('latin1').decode(chunk);
      if (seconds === 0 && text.includes(readyMark)) seconds = (performance.now() - start) / 1000;
    },
  });
  await machine.run();
  const { instructions, busy } = machine.statistics;
  return { seconds, instructions, busy: busy / 1000 };
}

async function bootInQemu(kernel: string, initrd: string): Promise<number> {
  const start = performance.now();
  const machine = ['-M', 'virt', '-m', '512M', '-smp', '1', '-display', 'none', '-monitor', 'none'];
  const child = spawn(
    qemu,
    [...machine, '-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-append', commandLine],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const ended = new Promise((resolve) => child.on('close', resolve));
  let text = '';
  let seconds = 0;
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (seconds === 0 && text.includes(readyMark)) seconds = (performance.now() - start) / 1000;
  }
  await ended;
  return seconds;
}

async function onDisk({ initrd }: BenchGuest) {
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  const path = join(directory, 'initrd');
  await writeFile(path, initrd);
  return {
    initrd: path,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
