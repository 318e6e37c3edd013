import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Machine } from '@anole/machine';
import { type BenchGuest, benchGuest, readyMark } from './guest.ts';

export const qemu = 'qemu-system-riscv64';
export const commandLine = 'console=ttyS0 quiet cryptomgr.notests';

const beginMark = 'WORK-BEGIN';
const endMark = 'WORK-END';

/** A guest that says when it begins and ends a script of busybox's. */
export const workGuest = (script: string): Promise<BenchGuest> =>
  benchGuest(`echo ${beginMark}\n${script}\necho ${endMark}`);

/** Tells the time between two marks in what the guest prints. */
export class Marks {
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

/** Seconds of a workload alone, with compiled code. */
export async function workHere({ kernel, initrd }: BenchGuest, cpus = 1): Promise<number> {
  const marks = new Marks();
  await using machine = await Machine.create({
    kernel: await readFile(kernel),
    initrd,
    commandLine,
    cpus,
    jit: true,
    onSerial: (chunk) => marks.feed(new TextDecoder('latin1').decode(chunk)),
  });
  await machine.run();
  return marks.seconds;
}

/** Seconds of a workload in QEMU with `marks`, else until its init runs. */
export async function bootInQemu(
  kernel: string,
  initrd: string,
  { marks, cpus = 1 }: { readonly marks?: Marks; readonly cpus?: number } = {},
): Promise<number> {
  const start = performance.now();
  const board = ['-M', 'virt', '-m', '512M', '-smp', String(cpus)];
  const files = ['-kernel', kernel, '-initrd', initrd, '-append', commandLine];
  const child = spawn(
    qemu,
    [...board, '-display', 'none', '-monitor', 'none', '-serial', 'stdio', ...files],
    { stdio: ['ignore', 'pipe', 'ignore'] },
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

export async function onDisk({ initrd }: BenchGuest) {
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  const path = join(directory, 'initrd');
  await writeFile(path, initrd);
  return {
    initrd: path,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
