// Feeds damaged inputs to everything that takes bytes from outside, for as long as told, and keeps in
// test/fuzz/corpus what made something new happen:
//   node -C anole-source tools/fuzz.ts [SECONDS] [TARGET...]
//   node -C anole-source tools/fuzz.ts prune      leaves out what others in the corpus make happen too
// What crashes, hangs or takes too much memory is written to a file, and the exit code is 1.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Session } from '../test/fuzz/session.ts';
import { targets } from '../test/fuzz/targets.ts';

/** Longest time for one input, and most memory, before it counts as a finding. */
const HANG = 60_000;
const MEMORY = 2 ** 31;
const TURN = 200;

interface Job {
  readonly seconds: number;
  readonly names: readonly string[];
}

/** What the thread that runs inputs says before and after. */
type Message =
  | { readonly starts: string; readonly seed: string; readonly bytes: Uint8Array }
  | { readonly failed: string; readonly error: string; readonly bytes: Uint8Array }
  | { readonly says: string }
  | { readonly ends: true };

if (process.argv[2] === 'prune') for (const target of targets) await new Session(target).prune();
else if (isMainThread) watch(job(process.argv.slice(2)));
else await work(workerData as Job);

function job(words: readonly string[]): Job {
  const [seconds = '60', ...names] = words;
  return { seconds: Number(seconds), names };
}

/** Runs a thread and sees to it that it goes on. */
function watch(todo: Job): void {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: todo,
    execArgv: process.execArgv,
  });
  let last: { name: string; bytes: Uint8Array; since: number } | undefined;
  const find = (name: string, reason: string, bytes: Uint8Array) => {
    const file = join(mkdtempSync(join(tmpdir(), 'anole-fuzz-')), name);
    writeFileSync(file, bytes);
    console.error(`${name}: ${reason}\n  input: ${file}`);
    process.exit(1);
  };
  worker.on('message', (message: Message) => {
    if ('says' in message) console.log(message.says);
    else if ('failed' in message) find(message.failed, message.error, message.bytes);
    else if ('starts' in message)
      last = { name: message.starts, bytes: message.bytes, since: Date.now() };
    else process.exit(0);
  });
  worker.on('error', (error) =>
    find(last?.name ?? 'start', String(error), last?.bytes ?? new Uint8Array(0)),
  );
  setInterval(() => {
    if (last === undefined) return;
    if (Date.now() - last.since > HANG) find(last.name, 'takes forever', last.bytes);
    const { rss } = process.memoryUsage();
    if (rss > MEMORY) find(last.name, `takes ${rss} bytes of memory`, last.bytes);
  }, 1000);
}

async function work({ seconds, names }: Job): Promise<void> {
  const say = (message: Message) => parentPort!.postMessage(message);
  const chosen = targets.filter(({ name }) => names.length === 0 || names.includes(name));
  const sessions = chosen.map((target) => new Session(target));
  for (const session of sessions) await session.replay();
  const end = Date.now() + seconds * 1000;
  // Other mutants each time.
  let number = Date.now() % 2 ** 31;
  let runs = 0;
  while (Date.now() < end) {
    for (const session of sessions) {
      const { name } = session.target;
      for (let count = 0; count < TURN; count++, runs++) {
        const { bytes, seed } = session.mutant(number++);
        say({ starts: name, seed, bytes });
        try {
          await session.take(bytes, seed);
        } catch (error) {
          const text = error instanceof Error ? `${error.stack}` : String(error);
          say({ failed: name, error: text, bytes });
          return;
        }
      }
      session.save();
      // Messages go out.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const states = sessions.map(
      ({ target, kinds, corpus }) => `${target.name} ${kinds}/${corpus.length}`,
    );
    say({ says: `${runs} runs; kinds/kept: ${states.join(', ')}` });
  }
  say({ ends: true });
}
