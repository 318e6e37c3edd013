import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Machine } from '@anole/machine';
import { type BenchGuest, benchGuest } from './guest.ts';

export const qemu = 'qemu-system-riscv64';
const commandLine = 'console=ttyS0 quiet cryptomgr.notests';

const beginMark = 'WORK-BEGIN';
const endMark = 'WORK-END';

/** A guest that says when it begins and ends a script of busybox's. */
export const workGuest = (script: string): Promise<BenchGuest> =>
  benchGuest(`echo ${beginMark}\n${script}\necho ${endMark}`);

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

/** Seconds of a workload alone. */
export async function workHere({ kernel, initrd }: BenchGuest, cpus = 1): Promise<number> {
  const marks = new Marks();
  await using machine = await Machine.create({
    kernel: await readFile(kernel),
    initrd,
    commandLine,
    cpus,
    onSerial: (chunk) => marks.feed(new TextDecoder('latin1').decode(chunk)),
  });
  await machine.run();
  return marks.seconds;
}

/** The same in QEMU. */
export async function workInQemu(kernel: string, initrd: string, cpus = 1): Promise<number> {
  const marks = new Marks();
  const board = ['-M', 'virt', '-m', '512M', '-smp', String(cpus)];
  const files = ['-kernel', kernel, '-initrd', initrd, '-append', commandLine];
  const child = spawn(
    qemu,
    [...board, '-display', 'none', '-monitor', 'none', '-serial', 'stdio', ...files],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const ended = new Promise((resolve) => child.on('close', resolve));
  for await (const chunk of child.stdout) marks.feed(String(chunk));
  await ended;
  return marks.seconds;
}

export async function onDisk({ initrd }: BenchGuest) {
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  const path = join(directory, 'initrd');
  await writeFile(path, initrd);
  return {
    initrd: path,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
