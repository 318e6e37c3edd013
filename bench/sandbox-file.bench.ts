import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Sandbox } from '@anole/sandbox';
import { type Bench, median } from './harness.ts';

const mebibyte = 1 << 20;
const held = 400; // MiB

/**
 * A sandbox from a file to the first output of a command, beside one from the template; and whether
 * that grows with what it holds in memory.
 */
const bench: Bench = async (report) => {
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  try {
    const small = join(directory, 'small');
    const large = join(directory, 'large');
    const saving = [await save(small, 128, 0), await save(large, 1024, held)];
    for (const [index, name] of ['128 MiB', `1 GiB, ${held} MiB of it held`].entries()) {
      const { seconds, bytes } = saving[index]!;
      report.figure(`saved, ${name}`, seconds, 's');
      report.figure(`file, ${name}`, bytes / mebibyte, 'MiB');
    }
    await report.compare({
      name: 'restored, to the first output',
      ours: { name: 'anole, Sandbox.restore', run: () => first(() => Sandbox.restore(small)) },
      peer: { name: 'anole, Sandbox.create', run: () => first(create) },
      runs: 10,
    });
    await report.compare({
      name: 'restored, whatever it holds (target 1.2)',
      ours: { name: `${held} MiB held`, run: () => first(() => Sandbox.restore(large)) },
      peer: { name: 'nothing held', run: () => first(() => Sandbox.restore(small)) },
      runs: 10,
      target: 1.2,
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};
export default bench;

const create = () => Sandbox.create('os:base', { memoryMiB: 128 });

/** @param fill MiB of files in memory that are not zero */
async function save(path: string, memoryMiB: number, fill: number) {
  await using sandbox = await Sandbox.create('os:base', { memoryMiB });
  const script = `yes | head -c ${fill}M > /dev/shm/held; sync`;
  await (await sandbox.exec(['sh', '-c', script])).output();
  const times: number[] = [];
  for (let round = 0; round < 3; round++) {
    const begun = performance.now();
    await sandbox.snapshot(path);
    times.push((performance.now() - begun) / 1000);
  }
  return { seconds: median(times), bytes: (await stat(path)).size };
}

/** Seconds to the first output. */
async function first(make: () => Promise<Sandbox>): Promise<number> {
  const begun = performance.now();
  await using sandbox = await make();
  const command = await sandbox.exec(['echo', 'hi']);
  await command.stdout.next();
  return (performance.now() - begun) / 1000;
}
