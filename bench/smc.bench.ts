import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Bench, Report } from './harness.ts';
import type { Figures } from './smc-worker.ts';

const worker = join(import.meta.dirname, 'smc-worker.ts');
const register = join(import.meta.dirname, '../packages/smc/src/register.ts');
const runs = 3;

type Way = 'smc' | 'tcp' | 'unix';

interface Topic {
  readonly client: string;
  readonly server: string;
  readonly compared: readonly Compared[];
}

interface Compared {
  readonly figure: string;
  readonly name: string;
  readonly unit: string;
  readonly target: number;
  readonly higherIsBetter?: boolean;
}

const topics: readonly Topic[] = [
  {
    client: 'pings',
    server: 'echo',
    compared: [
      { figure: 'median', name: '64 bytes there and back, median', unit: 'us', target: 0.2 },
      { figure: 'p99', name: '64 bytes there and back, 99th of 100', unit: 'us', target: 1 },
    ],
  },
  {
    client: 'seldom',
    server: 'echo',
    compared: [
      {
        figure: 'median',
        name: 'the same at most 1000 times a second, median',
        unit: 'us',
        target: 1,
      },
      { figure: 'allCpu', name: 'the same, processor time of both ends', unit: 's', target: 1 },
    ],
  },
  {
    client: 'stream',
    server: 'sink',
    compared: [
      {
        figure: 'rate',
        name: '64 KiB writes one way',
        unit: 'MB/s',
        target: 1 / 3,
        higherIsBetter: true,
      },
      { figure: 'allCpu', name: 'the same, processor time of both ends', unit: 's', target: 1 / 3 },
    ],
  },
  {
    client: 'fixed',
    server: 'source',
    compared: [
      {
        figure: 'rate',
        name: '64 KiB writes to a reader with a buffer of its own',
        unit: 'MB/s',
        target: 1 / 3,
        higherIsBetter: true,
      },
      { figure: 'allCpu', name: 'the same, processor time of both ends', unit: 's', target: 1 / 3 },
    ],
  },
  {
    client: 'http',
    server: 'http',
    compared: [
      {
        figure: 'rate',
        name: 'HTTP, 64 connections',
        unit: '/s',
        target: 1 / 1.5,
        higherIsBetter: true,
      },
    ],
  },
  {
    client: 'redis',
    server: 'redis',
    compared: [
      {
        figure: 'rate',
        name: 'a Redis client, one GET at a time',
        unit: '/s',
        target: 1 / 1.5,
        higherIsBetter: true,
      },
    ],
  },
  {
    client: 'setup',
    server: 'silent',
    compared: [{ figure: 'time', name: 'connecting and closing', unit: 'us', target: 1.3 }],
  },
];

/**
 * Programs of two processes over shared memory beside the same over TCP; over Unix sockets as a note.
 * In each round all ways run in turn. `--part=NAME` measures what the client of that name does, and
 * nothing else: `--part=pings`, `--part=memory`.
 */
const bench: Bench = async (report) => {
  const part = report.option('part');
  const wanted = (name: string) => part === undefined || part === name;
  for (const topic of topics) if (wanted(topic.client)) await compareTopic(report, topic);
  if (!wanted('memory')) return;
  for (const way of ['smc', 'tcp'] as const) {
    const { each = 0, serverEach = 0 } = await measure(way, 'memory', 'silent');
    report.figure(`10,000 connections over ${way}, each at the client`, each, 'KiB');
    report.figure(`10,000 connections over ${way}, each at the server`, serverEach, 'KiB');
  }
};
export default bench;

async function compareTopic(report: Report, topic: Topic): Promise<void> {
  const { client, server, compared } = topic;
  const figures: Record<Way, Figures[]> = { smc: [], tcp: [], unix: [] };
  for (let round = 0; round <= runs; round++) {
    for (const way of ['smc', 'tcp', 'unix'] as const) {
      figures[way].push(await measure(way, client, server));
    }
  }
  for (const { figure, name, ...rest } of compared) {
    const next = (way: Way) => {
      let at = 0;
      return () => figures[way][at++]![figure]!;
    };
    const ours = { name: 'shared memory', run: next('smc') };
    await report.compare({ ...rest, name, ours, peer: { name: 'TCP', run: next('tcp') }, runs });
    const unix = figures.unix.map((each) => each[figure]!).sort((a, b) => a - b);
    report.figure(`  over a Unix socket`, unix[unix.length >> 1]!, rest.unit);
  }
}

async function measure(way: Way, client: string, server: string): Promise<Figures> {
  const flags = ['-C', 'anole-source', ...(way === 'smc' ? ['--import', register] : [])];
  const run = (...args: string[]) => fork(worker, args, { execArgv: flags });
  const path = way === 'unix' ? `\0anole-bench-${process.pid}-${Date.now()}` : undefined;
  // An argument cannot begin with a NUL: the worker gets the path with an @.
  const there = run('server', server, ...(path === undefined ? [] : [path.replace('\0', '@')]));
  const port = await told<number>(there);
  const before = await ask(there);
  const here = run('client', client, path?.replace('\0', '@') ?? String(port));
  const figures = await told<Figures>(here);
  const after = await ask(there);
  here.send('enough');
  await once(here, 'exit');
  there.disconnect();
  await once(there, 'exit');
  const serverCpu = after['cpu']! - before['cpu']!;
  const serverEach = (after['rss']! - before['rss']!) / 1024 / 10_000;
  return { ...figures, allCpu: figures['cpu']! + serverCpu, serverEach };
}

async function ask(process: ChildProcess): Promise<Figures> {
  process.send('how are you');
  return await told<Figures>(process);
}

async function told<T>(process: ChildProcess): Promise<T> {
  const [message] = (await once(process, 'message')) as [T];
  return message;
}
