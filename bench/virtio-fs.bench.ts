import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openErofs } from '@anole/erofs';
import { FuseServer } from '@anole/fuse';
import { fileSource } from '@anole/host';
import { Machine, SharedMemory, VirtioFs } from '@anole/machine';
import { memoryOverlay } from '@anole/vfs';
import { kernelCommandLine } from '../packages/sandbox/src/guest/boot.ts';
import { type BenchGuest, benchGuest } from './guest.ts';
import type { Bench, Report } from './harness.ts';
import { hasProgram, runProgram } from './programs.ts';
import { reader } from './reader.ts';

const qemu = 'qemu-system-riscv64';
const virtiofsd = '/usr/lib/qemu/virtiofsd';
/** What a sandbox's kernel is told, for both: what it leaves out it leaves out in either machine. */
const commandLine = kernelCommandLine.replace('console=hvc0', 'console=ttyS0');
const anole = join(import.meta.dirname, '../packages/cli/bin/anole.js');
const bb = '/bin/busybox';
const begin = 'WORK-BEGIN';
const end = 'WORK-END';

const bigBytes = 128 << 20;
const smallFiles = 2000;

const readAll = 'cd /mnt/small; for d in *; do /reader $d/* || exit 1; done';

interface Work {
  readonly name: string;
  readonly script: string;
  /** What the guest does before, which does not count. */
  readonly before?: string;
  readonly unit: string;
  readonly amount: number;
  /** Whether the image lies under a layer that takes writes. Default: it is only read. */
  readonly writable?: boolean;
}

/** What the guest does with the file system, and how much of it. */
const works: readonly Work[] = [
  {
    name: 'sequential read, mounted read-only (target 1)',
    script: `${bb} dd if=/mnt/big of=/dev/null bs=1M`,
    unit: 'GB/s',
    amount: bigBytes / 1e9,
  },
  {
    name: 'sequential read',
    writable: true,
    script: `${bb} dd if=/mnt/big of=/dev/null bs=1M`,
    unit: 'GB/s',
    amount: bigBytes / 1e9,
  },
  {
    name: 'sequential read past the page cache',
    writable: true,
    script: `${bb} dd if=/mnt/big of=/dev/null bs=1M iflag=direct`,
    unit: 'GB/s',
    amount: bigBytes / 1e9,
  },
  {
    name: 'opens and reads of small files (target 20)',
    writable: true,
    script: readAll,
    unit: 'thousand/s',
    amount: smallFiles / 1000,
  },
  {
    name: 'the same again',
    writable: true,
    before: readAll,
    script: readAll,
    unit: 'thousand/s',
    amount: smallFiles / 1000,
  },
  {
    name: 'the first time, by cat',
    writable: true,
    script: `cd /mnt/small; for d in *; do ${bb} cat $d/* >/dev/null; done`,
    unit: 'thousand/s',
    amount: smallFiles / 1000,
  },
];

/** One virtio-fs device, its files in an EROFS image; beside QEMU with virtiofsd. */
const bench: Bench = async (report) => {
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  try {
    const source = join(directory, 'source');
    makeFiles(source);
    const image = join(directory, 'image.erofs');
    runProgram(process.execPath, [anole, 'fs', 'mk', '-q', source, '-o', image]);
    for (const work of works) await compareWork(report, work, { directory, source, image });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};
export default bench;

interface Place {
  readonly directory: string;
  readonly source: string;
  readonly image: string;
}

function makeFiles(source: string): void {
  mkdirSync(source);
  writeFileSync(join(source, 'big'), Buffer.alloc(bigBytes, 'anole'));
  for (let index = 0; index < smallFiles; index++) {
    const parent = join(source, 'small', `d${Math.floor(index / 100)}`);
    if (index % 100 === 0) mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `f${index}`), `${index}\n`.repeat(300));
  }
}

async function compareWork(report: Report, work: Work, place: Place): Promise<void> {
  const { name, script, before = '', unit, amount, writable = false } = work;
  const mount = `${bb} mkdir /mnt; ${bb} mount -t virtiofs -o ${writable ? 'rw' : 'ro'} data /mnt`;
  const guest = await benchGuest(`${mount}\n${before}\necho ${begin}\n${script}\necho ${end}`, [
    reader,
  ]);
  const ours = async () => amount / (await workHere(guest, place, writable));
  if (!hasProgram(qemu) || !hasProgram(virtiofsd) || process.getuid?.() !== 0) {
    report.figure(name, await ours(), unit);
    report.skip(name, `${qemu} or virtiofsd is not installed, or this is not root`);
    return;
  }
  await report.compare({
    name,
    unit,
    higherIsBetter: true,
    runs: 3,
    ours: { name: 'anole', run: ours },
    peer: { name: 'QEMU', run: async () => amount / (await workInQemu(guest, place)) },
  });
}

/** Tells the seconds between two lines of what the guest prints. */
class Marks {
  #text = '';
  #begun = 0;
  seconds = 0;

  feed(text: string): void {
    this.#text += text;
    if (this.#begun === 0 && this.#text.includes(begin)) this.#begun = performance.now();
    if (this.seconds === 0 && this.#text.includes(end)) {
      this.seconds = (performance.now() - this.#begun) / 1000;
    }
  }
}

async function workHere(
  { kernel, initrd }: BenchGuest,
  { image }: Place,
  writable: boolean,
): Promise<number> {
  const marks = new Marks();
  using source = fileSource(image);
  const tree = await openErofs(source);
  const window = new SharedMemory();
  const server = writable
    ? new FuseServer(memoryOverlay(tree))
    : new FuseServer(tree, { mountedReadOnly: true, window });
  const device = new VirtioFs({
    tag: 'data',
    handle: (request) => server.handle(request),
    ...(!writable && { sharedMemory: window }),
  });
  await using machine = await Machine.create({
    kernel: await readFile(kernel),
    initrd,
    commandLine,
    jit: true,
    devices: [device],
    onSerial: (chunk) => marks.feed(new TextDecoder('latin1').decode(chunk)),
  });
  await machine.run();
  return marks.seconds;
}

async function workInQemu({ kernel, initrd }: BenchGuest, place: Place): Promise<number> {
  const { directory, source } = place;
  const initrdPath = join(directory, 'initrd');
  const socket = join(directory, 'socket');
  await writeFile(initrdPath, initrd);
  const daemon = spawn(
    virtiofsd,
    [`--socket-path=${socket}`, '-o', `source=${source}`, '-o', 'cache=always,sandbox=chroot'],
    { stdio: 'ignore' },
  );
  const gone = once(daemon, 'close');
  await sleep(500);
  const marks = new Marks();
  const machine = ['-M', 'virt', '-m', '512M', '-smp', '1', '-display', 'none', '-monitor', 'none'];
  const memory = [
    '-object',
    'memory-backend-memfd,id=m,size=512M,share=on',
    '-numa',
    'node,memdev=m',
  ];
  const device = ['-chardev', `socket,id=c,path=${socket}`];
  const child = spawn(
    qemu,
    [
      ...[...machine, ...memory, ...device, '-device', 'vhost-user-fs-pci,chardev=c,tag=data'],
      ...['-serial', 'stdio', '-kernel', kernel, '-initrd', initrdPath, '-append', commandLine],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  for await (const chunk of child.stdout) marks.feed(String(chunk));
  daemon.kill();
  await gone;
  if (marks.seconds === 0) throw new Error('QEMU with virtiofsd did not do the work');
  return marks.seconds;
}
