import type { Command } from 'commander';
import { countOf, durationOf, shareOf, sizeOf } from './arguments.ts';

/** What a sandbox may take, memory and processors aside. */
export interface LimitFlags {
  readonly cpuShare?: string;
  readonly pidsLimit?: string;
  readonly disk?: string;
  readonly lifetime?: string;
}

export function addLimitOptions(command: Command): Command {
  return command
    .option('--cpu-share <share>', 'time of a processor it may take, 0.5 for half (default: all)')
    .option('--pids-limit <count>', 'processes and threads at once (default: 1024)')
    .option('--disk <size>', 'bytes it may write over its image (default: 4G)')
    .option('--lifetime <duration>', 'end it after, such as 10m');
}

export function limitsOf({ cpuShare, pidsLimit, disk, lifetime }: LimitFlags) {
  return {
    ...(cpuShare !== undefined && { cpuShare: shareOf(cpuShare) }),
    ...(pidsLimit !== undefined && { maxProcesses: countOf(pidsLimit) }),
    ...(disk !== undefined && { maxWritten: sizeOf(disk) }),
    ...(lifetime !== undefined && { lifetime: durationOf(lifetime) }),
  };
}
