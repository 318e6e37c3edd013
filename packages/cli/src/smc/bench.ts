import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AnoleError } from '@anole/bytes';
import { preloadOptions } from '@anole/smc';
import type { CommandContext } from '../context.ts';
import { table } from '../table.ts';
import type { Addresses, Answer, Kind, Question } from './bench-peer.ts';

const ways = ['shared memory', 'TCP', 'Unix socket'] as const;
const kinds: readonly Kind[] = ['roundTrips', 'stream', 'requests'];
const ROUNDS = 3;

type Way = (typeof ways)[number];

interface Row {
  readonly name: string;
  readonly kind: Kind;
  /** Of several rounds, the middle one counts. */
  readonly figure: (answer: Answer) => number;
  readonly text: (value: number) => string;
  readonly lessIsBetter?: boolean;
}

const micros = (value: number) => `${value.toFixed(1)} us`;
const rows: readonly Row[] = [
  {
    name: '64 bytes there and back, median',
    kind: 'roundTrips',
    figure: ({ value }) => value,
    text: micros,
    lessIsBetter: true,
  },
  {
    name: '64 bytes there and back, 99 of 100 within',
    kind: 'roundTrips',
    figure: ({ p99 = 0 }) => p99,
    text: micros,
    lessIsBetter: true,
  },
  {
    name: 'a stream of 64 KiB writes',
    kind: 'stream',
    figure: ({ value }) => value,
    text: (value) => `${(value / 1e6).toFixed(0)} MB/s`,
  },
  {
    name: 'HTTP requests, 16 connections',
    kind: 'requests',
    figure: ({ value }) => value,
    text: (value) => `${value.toFixed(0)} /s`,
  },
];

interface BenchFlags {
  readonly seconds: string;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 60) return seconds;
  throw new AnoleError('CLI_USAGE', `Cannot measure for ${text} s: it must be at most 60`);
}

/** Two programs of this host, which talk in three ways in turn. */
export async function benchAction(
  { out, json, progress, signal }: CommandContext,
  flags: BenchFlags,
): Promise<number> {
  const milliseconds = (parseSeconds(flags.seconds) * 1000) / ROUNDS;
  const directory = mkdtempSync(join(tmpdir(), 'anole-smc-bench-'));
  const pairs = new Map<Way, Pair>();
  const close = () => {
    for (const each of pairs.values()) each.close();
  };
  signal.addEventListener('abort', close);
  try {
    for (const way of ways) pairs.set(way, await Pair.start(way, join(directory, 'socket')));
    const answers = new Map<string, Answer[]>();
    const total = ROUNDS * kinds.length * ways.length;
    let done = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (const kind of kinds) {
        for (const way of ways) {
          signal.throwIfAborted();
          progress({ step: 'measure', done: done++, total, unit: 'items', detail: way });
          const answer = await pairs.get(way)!.ask(kind, milliseconds);
          if (way === 'shared memory') demandMemory(answer);
          const key = `${kind} ${way}`;
          answers.set(key, [...(answers.get(key) ?? []), answer]);
        }
      }
    }
    report(answers, json, out);
    return 0;
  } finally {
    signal.removeEventListener('abort', close);
    close();
    rmSync(directory, { recursive: true });
  }
}

function report(
  answers: ReadonlyMap<string, readonly Answer[]>,
  json: boolean,
  out: (text: string) => void,
): void {
  const cells = rows.map(({ name, kind, figure, text, lessIsBetter = false }) => {
    const values = ways.map((way) => middle(answers.get(`${kind} ${way}`)!.map(figure)));
    const [ours = 0, tcp = 0, unix = 0] = values;
    const timesTcp = lessIsBetter ? tcp / ours : ours / tcp;
    if (json) out(JSON.stringify({ name, sharedMemory: ours, tcp, unix, timesTcp }));
    return [name, ...values.map(text), `${timesTcp.toFixed(1)} times`];
  });
  if (!json) out(table(['', ...ways.map((way) => way.toUpperCase()), 'BETTER THAN TCP'], cells));
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Figures of a connection that fell back would be those of TCP. */
function demandMemory({ state }: Answer): void {
  if (state === undefined || state.transport === 'smc-d') return;
  const { reason = 'it is not known why', hint } = state.reason ?? {};
  throw new AnoleError('CLI_NO_SMC', `Cannot measure shared memory: ${reason}`, {
    ...(hint !== undefined && { hint }),
  });
}

/** A server and a client. */
class Pair {
  private readonly addresses: Addresses;
  private readonly server: ChildProcess;
  private readonly client: ChildProcess;

  private constructor(server: ChildProcess, client: ChildProcess, addresses: Addresses) {
    this.server = server;
    this.client = client;
    this.addresses = addresses;
  }

  static async start(way: Way, path: string): Promise<Pair> {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const file = fileURLToPath(new URL(`./bench-peer.${ending}`, import.meta.url));
    const execArgv = way === 'shared memory' ? [...preloadOptions()] : [];
    const server = fork(file, ['server', ...(way === 'Unix socket' ? [path] : [])], { execArgv });
    const client = fork(file, ['client'], { execArgv });
    return new Pair(server, client, await told<Addresses>(server));
  }

  async ask(kind: Kind, milliseconds: number): Promise<Answer> {
    const question: Question = { kind, at: this.addresses[kind], milliseconds };
    this.client.send(question);
    return await told<Answer>(this.client);
  }

  close(): void {
    for (const each of [this.client, this.server]) if (each.connected) each.disconnect();
  }
}

async function told<T>(child: ChildProcess): Promise<T> {
  const ended = new AbortController();
  const gone = once(child, 'exit', { signal: ended.signal }).then(() => {
    throw new AnoleError('CLI_NO_SMC', 'Cannot measure: one of the programs has ended');
  });
  const message = once(child, 'message', { signal: ended.signal });
  try {
    return ((await Promise.race([message, gone])) as [T])[0];
  } finally {
    gone.catch(() => {});
    message.catch(() => {});
    ended.abort();
  }
}
