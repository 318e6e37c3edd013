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
  for (const workload of workloads) await compareWorkload(report, workload);
  report.figure('boot instructions per second (target 60)', median(rates), 'million');
};
export default bench;

/** What a guest with nothing but busybox can do, after its boot. */
const workloads = [
  { name: 'sh loop', script: 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done' },
  { name: 'dd', script: '/bin/busybox dd if=/dev/zero of=/dev/null bs=65536 count=10000' },
  {
    name: 'sha256sum',
    script: '/bin/busybox dd if=/dev/zero bs=65536 count=256 | /bin/busybox sha256sum',
  },
  {
    name: 'gzip',
    script: '/bin/busybox cat /bin/busybox /bin/busybox | /bin/busybox gzip -c >/dev/null',
  },
  {
    name: 'many processes',
    script: 'i=0; while [ $i -lt 200 ]; do /bin/busybox true; i=$((i+1)); done',
  },
] as const;

const beginMark = 'WORK-BEGIN';
const endMark = 'WORK-END';

/** Seconds of a workload alone, with compiled code, beside the same in QEMU. */
async function compareWorkload(
  report: Parameters<Bench>[0],
  { name, script }: (typeof workloads)[number],
): Promise<void> {
  if (!hasProgram(qemu)) {
    report.skip(name, `${qemu} is not installed`);
    return;
  }
  const guest = await benchGuest(`echo ${beginMark}\n${script}\necho ${endMark}`);
  await using files = await onDisk(guest);
  await report.compare({
    name,
    ours: { name: 'anole', run: () => workHere(guest) },
    peer: { name: 'QEMU TCG', run: () => bootInQemu(guest.kernel, files.initrd, new Marks()) },
    runs: 3,
    target: 1.5,
  });
}

/** Tells the time between two marks in what the guest prints. */
class Marks {
  #text = '';
  #begin: number | undefined;
  seconds = 0;

  feed(text: string): void {
    this.#text += text;
    if (this.#begin === undefined && this.#text.includes(beginMark)) {
      this.#begin = performance.now();
    }
    if (this.#begin !== undefined && this.seconds === 0 && this.#text.includes(endMark)) {
      this.seconds = (performance.now() - this.#begin) / 1000;
    }
  }
}

async function workHere({ kernel, initrd }: BenchGuest): Promise<number> {
  const marks = new Marks();
  await using machine = await Machine.create({
    kernel: await readFile(kernel),
    initrd,
    commandLine,
    jit: true,
    onSerial: (chunk) => marks.feed(new TextDecoder('latin1').decode(chunk)),
  });
  await machine.run();
  return marks.seconds;
}

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

async function bootInQemu(kernel: string, initrd: string, marks?: Marks): Promise<number> {
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
    marks?.feed(String(chunk));
    text += String(chunk);
    if (seconds === 0 && text.includes(readyMark)) seconds = (performance.now() - start) / 1000;
  }
  await ended;
  return marks?.seconds ?? seconds;
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
