import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fetchKernel } from '@anole/compose';
import { Machine } from '@anole/machine';
import type { Bench } from './harness.ts';
import { hasProgram } from './programs.ts';
import { userland } from './userland.ts';
import { files, marks, packages, readyMark, workloads } from './workloads.ts';

const qemu = 'qemu-system-riscv64';
const commandLine = 'console=ttyS0 quiet cryptomgr.notests';
const memoryMiB = 1536;
const RUNS = 3;
const BOOT = 'boot to init';

/** Seconds by the name of what took them. */
type Times = ReadonlyMap<string, number>;

/**
 * The machine beside QEMU's TCG: same kernel, same initramfs with the userland of the workloads, one
 * hart. Each side boots once for each round and does all workloads in one go, timed from outside by
 * the marks that the guest prints.
 */
const bench: Bench = async (report) => {
  if (!hasProgram(qemu)) {
    report.skip('workloads', `${qemu} is not installed`);
    return;
  }
  const kernel = (await fetchKernel()).path;
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  try {
    const initrd = join(directory, 'initrd');
    await writeFile(initrd, await userland(packages, files));
    const rounds: { readonly ours: Times; readonly peer: Times }[] = [];
    for (let round = 0; round < RUNS; round++) {
      rounds.push({ ours: await runHere(kernel, initrd), peer: await runInQemu(kernel, initrd) });
      report.note(`round ${round + 1} of ${RUNS} done`);
    }
    const ratios: number[] = [];
    for (const name of [BOOT, ...workloads.map((each) => each.name)]) {
      const { ratio } = await report.compare({
        name,
        ours: { name: 'anole', run: replay(rounds.map(({ ours }) => ours.get(name)!)) },
        peer: { name: 'QEMU TCG', run: replay(rounds.map(({ peer }) => peer.get(name)!)) },
        runs: RUNS,
        target: 1.5,
      });
      ratios.push(ratio);
    }
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    report.figure('geometric mean of the ratios (target 1.0)', mean, '');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};
export default bench;

/** Gives what was measured already, the first figure once more for the run that is not counted. */
function replay(figures: readonly number[]): () => number {
  const left = [figures[0]!, ...figures];
  return () => left.shift()!;
}

/** Tells from what a guest prints how long each of its parts took. */
class Stopwatch {
  readonly times = new Map<string, number>();
  readonly #begun = new Map<string, number>();
  #text = '';

  constructor() {
    this.#begun.set(BOOT, performance.now());
  }

  feed(text: string): void {
    this.#text += text;
    this.#note(readyMark, this.times, BOOT);
    for (const { name } of workloads) {
      if (this.#text.includes(marks.begin(name)) && !this.#begun.has(name)) {
        this.#begun.set(name, performance.now());
      }
      this.#note(marks.end(name), this.times, name);
    }
  }

  #note(mark: string, times: Map<string, number>, name: string): void {
    if (times.has(name) || !this.#text.includes(mark)) return;
    times.set(name, (performance.now() - this.#begun.get(name)!) / 1000);
  }

  /** All of them, or what the guest said in their place. */
  all(): Times {
    if (this.times.size > workloads.length) return this.times;
    throw new Error(`The guest did not finish:\n${this.#text.slice(-2000)}`);
  }
}

async function runHere(kernel: string, initrd: string): Promise<Times> {
  const images = { kernel: await readFile(kernel), initrd: await readFile(initrd) };
  const stopwatch = new Stopwatch();
  await using machine = await Machine.create({
    ...images,
    commandLine,
    memoryMiB,
    onSerial: (chunk) => stopwatch.feed(Buffer.from(chunk).toString('latin1')),
  });
  await machine.run();
  return stopwatch.all();
}

async function runInQemu(kernel: string, initrd: string): Promise<Times> {
  const stopwatch = new Stopwatch();
  const child = spawn(
    qemu,
    [
      '-M',
      'virt',
      '-m',
      `${memoryMiB}M`,
      '-smp',
      '1',
      '-display',
      'none',
      '-monitor',
      'none',
    ].concat(['-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-append', commandLine]),
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise((resolve) => child.on('close', resolve));
  for await (const chunk of child.stdout) stopwatch.feed(String(chunk));
  await ended;
  return stopwatch.all();
}
