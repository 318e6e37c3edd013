import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Sandbox } from '@anole/sandbox';
import { bundle, runtimeOptions } from './container.ts';
import { type Bench, type Contestant, median, type Report } from './harness.ts';

const mebibyte = 1 << 20;
const streamed = 512 * mebibyte;
const many = 2000;

/** What is done with a sandbox that lives, beside containers: commands and files; then two hundred. */
const bench: Bench = async (report) => {
  await using sandbox = await Sandbox.create('os:base', { terminals: 0, maxWritten: 2 ** 31 });
  await commands(report, sandbox);
  await files(report, sandbox);
  await manyLive(report);
};
export default bench;

async function commands(report: Report, sandbox: Sandbox): Promise<void> {
  const ours = {
    name: 'anole, sandbox.exec',
    async run() {
      return await timed(async () => {
        const command = await sandbox.exec(['echo', 'hi']);
        await command.output();
      });
    },
  };
  const times: number[] = [];
  for (let round = 0; round < 50; round++) times.push((await ours.run()) * 1000);
  report.figure('exec in a live sandbox, to its end (target 10)', median(times), 'ms');
  for (const runtime of ['runc', 'crun']) await besideContainer(report, runtime, ours);
}

async function besideContainer(report: Report, runtime: string, ours: Contestant): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  const name = `exec in a live sandbox, beside ${runtime}`;
  const id = `anole-live-${process.pid}`;
  const tool = (words: readonly string[]) =>
    spawnSync(runtime, [...runtimeOptions(runtime), ...words], { encoding: 'utf8' });
  try {
    const problem = await bundle(runtime, directory);
    if (problem !== undefined) return report.skip(name, problem);
    const config = join(directory, 'config.json');
    const text = await readFile(config, 'utf8');
    await writeFile(config, text.replace('["echo","hi"]', '["sleep","10000"]'));
    const words = [...runtimeOptions(runtime), 'run', '--bundle', directory, id];
    const container = spawn(runtime, words, { stdio: 'ignore' });
    const ended = new Promise((resolve) => container.once('exit', resolve));
    while (!tool(['state', id]).stdout.includes('running')) await pause(20);
    const exec = () => {
      if (tool(['exec', id, 'echo', 'hi']).stdout !== 'hi\n') throw new Error('no answer');
    };
    await report.compare({
      name,
      ours,
      peer: { name: `${runtime} exec`, run: () => void exec() },
      runs: 20,
    });
    tool(['kill', id, 'KILL']);
    await ended;
  } finally {
    tool(['delete', '--force', id]);
    await rm(directory, { recursive: true, force: true });
  }
}

async function files(report: Report, { files }: Sandbox): Promise<void> {
  const bytes = new Uint8Array(streamed).fill(7);
  const rate = async (work: () => Promise<unknown>) => streamed / mebibyte / (await timed(work));
  const rates = { in: [] as number[], out: [] as number[] };
  for (let round = 0; round < 3; round++) {
    rates.in.push(await rate(() => files.write('/root/big', bytes)));
    const read = async () => {
      for await (const _ of files.stream('/root/big'));
    };
    rates.out.push(await rate(read));
    await files.remove('/root/big');
  }
  report.figure('files streamed in (target 500)', median(rates.in), 'MB/s');
  report.figure('files streamed out (target 500)', median(rates.out), 'MB/s');
  const small = Array.from({ length: many }, (_, n) => ({
    path: `/root/many/${n % 50}/${n}`,
    data: 'x'.repeat(1000),
  }));
  const times: number[] = [];
  for (let round = 0; round < 3; round++) times.push(await timed(() => files.writeAll(small)));
  report.figure(`${many} small files in one call (target 1)`, median(times), 's');
}

async function manyLive(report: Report): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const count = 200;
  const before = process.memoryUsage.rss();
  const all: Sandbox[] = [];
  for (let n = 0; n < count; n++) {
    all.push(stack.use(await Sandbox.create('os:base', { terminals: 0 })));
  }
  for (const sandbox of all) {
    const { stdout } = await (await sandbox.exec(['echo', 'here'])).output();
    if (new TextDecoder().decode(stdout) !== 'here\n') throw new Error('a sandbox does not answer');
  }
  const taken = (process.memoryUsage.rss() - before) / 2 ** 30;
  report.figure(`${count} sandboxes that live and answer (target 6)`, taken, 'GiB');
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
