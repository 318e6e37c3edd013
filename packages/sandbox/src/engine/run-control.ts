import type { Machine } from '@anole/machine/runtime';
import type { EngineStatistics } from './engine.ts';
import type { FileSystems } from './file-systems.ts';
import type { ControlCommand, Report } from './messages.ts';

/** Milliseconds within which one limit is reported once. */
const reportEvery = 1000;

interface Controlled {
  readonly machine: Machine;
  readonly files: FileSystems;
}

/** Obeys what concerns how a machine runs. */
export function control(
  command: ControlCommand,
  { machine, files }: Controlled,
  tell: (report: Report) => void,
): void {
  if (command.type === 'pause') machine.pause();
  else if (command.type === 'resume') machine.resume();
  else if (command.type === 'share') machine.cpuShare = command.share;
  else {
    const { blockSize, blocks, freeBlocks } = files.root.tree.usage() as Usage;
    const { instructions, busy, throttled } = machine.statistics;
    const value: EngineStatistics = {
      instructions,
      cpuMilliseconds: busy,
      throttledMilliseconds: throttled,
      written: (blocks - freeBlocks) * blockSize,
      maxWritten: blocks * blockSize,
    };
    tell({ type: 'statistics', id: command.id, value });
  }
}

type Usage = { readonly blockSize: number; readonly blocks: number; readonly freeBlocks: number };

/** Says that a limit was met, but not again and again. */
export function limitReporter(tell: (report: Report) => void): (limit: 'disk') => void {
  const last = new Map<string, number>();
  return (limit) => {
    const now = performance.now();
    if (now - (last.get(limit) ?? Number.NEGATIVE_INFINITY) < reportEvery) return;
    last.set(limit, now);
    tell({ type: 'limit', limit });
  };
}
