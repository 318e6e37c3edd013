import { spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileSource } from '@anole/host';
import { Machine, openSnapshot } from '@anole/machine';
import { Sandbox, SandboxPool } from '@anole/sandbox';
import { warmUp } from '@anole/sandbox/threads';
import { bundle, runtimeOptions } from './container.ts';
import { type BenchGuest, benchGuest, readyMark } from './guest.ts';
import { type Bench, median, type Report } from './harness.ts';
import { hasProgram, runProgram } from './programs.ts';

const anole = join(import.meta.dirname, '../packages/cli/bin/anole.js');
const answer = 'GUEST-ANSWER';

/** From nothing to the first output: a process, a sandbox in this program, a machine; then many. */
const bench: Bench = async (report) => {
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  try {
    await processes(report, directory);
    await sandboxes(report);
    await manySandboxes(report);
    await restores(report, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};
export default bench;

/** `echo hi` in the image `base`: of riscv64 here, of this computer's processor in containers. */
async function processes(report: Report, directory: string): Promise<void> {
  const ours = {
    name: 'anole run',
    run: () => once(process.execPath, [anole, 'run', '-q', '--', 'echo', 'hi']),
  };
  ours.run();
  for (const runtime of ['runc', 'crun']) {
    const name = `whole process, beside ${runtime}`;
    const problem = await bundle(runtime, directory);
    if (problem !== undefined) {
      report.skip(name, problem);
      continue;
    }
    const id = `anole-bench-${process.pid}`;
    const run = () => once(runtime, [...runtimeOptions(runtime), 'run', '--bundle', directory, id]);
    await report.compare({ name, ours, peer: { name: `${runtime} run`, run } });
  }
}

function once(program: string, args: readonly string[]): undefined {
  runProgram(program, args);
}

/** In a running program, its threads warm: from `Sandbox.create` to the first byte of `echo hi`. */
async function sandboxes(report: Report): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round <= 50; round++) {
    warmUp();
    await pause(100);
    const start = performance.now();
    await using sandbox = await Sandbox.create('os:base', { terminals: 0 });
    await firstByte(sandbox);
    if (round > 0) times.push(performance.now() - start);
  }
  report.figure('first output in a running program (target 30)', median(times), 'ms');
  await using sandbox = await Sandbox.create('os:base', { terminals: 0 });
  const commands: number[] = [];
  for (let round = 0; round < 50; round++) {
    await pause(50);
    commands.push(await timed(() => firstByte(sandbox)));
  }
  report.figure('exec in a live sandbox to first output (target 10)', median(commands), 'ms');
  await using pool = SandboxPool.of('os:base', { terminals: 0, size: 2 });
  const taken: number[] = [];
  for (let round = 0; round < 20; round++) {
    while (pool.ready < 2) await pause(20);
    await pause(100);
    let one: Sandbox | undefined;
    taken.push(
      await timed(async () => {
        one = await pool.take();
        await firstByte(one);
      }),
    );
    await one?.close();
  }
  report.figure('first output from a pool (target 15)', median(taken), 'ms');
}

/** Starts in a row, what one that waits costs, and copies of one that runs. */
async function manySandboxes(report: Report): Promise<void> {
  const options = { terminals: 0 };
  const starts = 40;
  const seconds = await timed(async () => {
    const one = async () => {
      await using sandbox = await Sandbox.create('os:base', options);
      await firstByte(sandbox);
    };
    for (let done = 0; done < starts; done += 2) await Promise.all([one(), one()]);
  });
  report.figure('starts (target 40)', (1000 * starts) / seconds, 'per second');
  await using stack = new AsyncDisposableStack();
  const few = 4;
  const many = 24;
  const add = async () => stack.use(await Sandbox.create('os:base', options));
  for (let count = 0; count < few; count++) await add();
  await pause(2000);
  const before = process.memoryUsage.rss();
  for (let count = few; count < few + many; count++) await add();
  await pause(2000);
  const each = (process.memoryUsage.rss() - before) / many / 2 ** 20;
  report.figure('memory of an idle sandbox (target 16)', each, 'MiB');
  await forks(report);
}

/** A Python that has loaded its modules and waits for a line; each copy runs it. */
async function forks(report: Report): Promise<void> {
  const program = 'import json, re, decimal, sys\nprint("ready", flush=True)\nexec(input())';
  await using parent = await Sandbox.create('os:python', { terminals: 0 });
  const input = new TransformStream<Uint8Array>();
  const python = await parent.exec(['python3', '-c', program], { stdin: input.readable });
  await python.stdout.next();
  await using stack = new AsyncDisposableStack();
  const times: number[] = [];
  const copies: Sandbox[] = [];
  const all = await timed(async () => {
    for (let count = 0; count < 100; count++) {
      times.push(await timed(async () => void copies.push(stack.use(await parent.fork()))));
    }
  });
  report.figure('fork of a warmed Python (target 10)', median(times), 'ms');
  report.figure('a hundred forks of it (target 5)', all / 1000, 's');
  const answers = await timed(async () => {
    for (const copy of copies) {
      const { stdout } = await copy.attach(python, { stdin: 'print(6 * 7)\n' }).output();
      if (new TextDecoder().decode(stdout) !== '42\n') throw new Error('a copy cannot count');
    }
  });
  report.figure('an answer of each copy', answers / copies.length, 'ms');
  python.kill('SIGKILL');
}

async function firstByte(sandbox: Sandbox): Promise<void> {
  const command = await sandbox.exec(['echo', 'hi']);
  await command.stdout.next();
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A machine that waits for a line, saved; from its file to its answer, beside QEMU's snapshots. */
async function restores(report: Report, directory: string): Promise<void> {
  const guest = await benchGuest(`read line < /dev/console; echo ${answer}`);
  const path = join(directory, 'machine.snapshot');
  await saveHere(guest, path);
  const name = 'restore to first output';
  const qemu = 'qemu-system-riscv64';
  if (!hasProgram(qemu) || !hasProgram('qemu-img')) {
    report.skip(name, `${qemu} or qemu-img is not installed`);
    return;
  }
  const disk = join(directory, 'disk.qcow2');
  runProgram('qemu-img', ['create', '-f', 'qcow2', disk, '64M']);
  const initrd = join(directory, 'initrd');
  await writeFile(initrd, guest.initrd);
  const start = (...more: string[]) => qemuMachine(guest.kernel, initrd, disk, more);
  const saving = start();
  await saving.until(readyMark);
  // The escape of the console that monitor and serial port share: C-a c.
  await new Promise((resolve) => setTimeout(resolve, 500));
  saving.write('\u0001csavevm t\nquit\n');
  await saving.ended;
  await report.compare({
    name,
    ours: { name: 'anole', run: () => restoreHere(path) },
    peer: {
      name: 'QEMU -loadvm',
      async run() {
        const restored = start('-loadvm', 't');
        restored.write('\n');
        await restored.until(answer);
        restored.kill();
        await restored.ended;
        return undefined;
      },
    },
  });
}

const commandLine = 'console=ttyS0 quiet cryptomgr.notests';

async function saveHere({ kernel, initrd }: BenchGuest, path: string): Promise<void> {
  const ready = Promise.withResolvers<void>();
  let text = '';
  await using machine = await Machine.create({
    kernel: await readFile(kernel),
    initrd,
    commandLine,
    onSerial(chunk) {
      text += new TextDecoder('latin1').decode(chunk);
      if (text.includes(readyMark)) ready.resolve();
    },
  });
  void machine.run();
  await ready.promise;
  const file = openSync(path, 'w');
  await machine.save((chunk) => void writeSync(file, chunk), { whenIdle: true });
  closeSync(file);
}

async function restoreHere(path: string): Promise<undefined> {
  const answered = Promise.withResolvers<void>();
  let text = '';
  using source = fileSource(path);
  await using machine = await Machine.restore({
    snapshot: openSnapshot(source),
    onSerial(chunk) {
      text += new TextDecoder('latin1').decode(chunk);
      if (text.includes(answer)) answered.resolve();
    },
  });
  void machine.run();
  await machine.writeSerial(Uint8Array.of(10));
  await answered.promise;
  return undefined;
}

function qemuMachine(kernel: string, initrd: string, disk: string, more: readonly string[]) {
  const machine = ['-M', 'virt', '-m', '512M', '-smp', '1', '-nographic'];
  const files = ['-kernel', kernel, '-initrd', initrd, '-append', commandLine];
  const drive = ['-drive', `file=${disk},if=none,format=qcow2,id=d`];
  const child = spawn('qemu-system-riscv64', [...machine, ...files, ...drive, ...more], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let text = '';
  let seen = () => {};
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    seen();
  });
  return {
    ended: new Promise<void>((resolve) => child.on('close', () => resolve())),
    write: (keys: string) => void child.stdin.write(keys),
    kill: () => void child.kill(),
    until: (mark: string) =>
      new Promise<void>((resolve) => {
        seen = () => {
          if (text.includes(mark)) resolve();
        };
        seen();
      }),
  };
}
