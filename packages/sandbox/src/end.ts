import type { EngineEnd } from './engine/engine.ts';
import { SandboxError } from './errors.ts';

const outOfMemory = /System is deadlocked on memory|Out of memory/;

/** What commands that still run are told when the machine ended. */
export function endError(end: EngineEnd): unknown {
  if (end.error !== undefined) return end.error;
  const reason = end.panic;
  const details = { console: lastLines(end.console, 40) };
  if (reason !== undefined && outOfMemory.test(end.console)) {
    return new SandboxError(
      'SANDBOX_OUT_OF_MEMORY',
      `Cannot go on: the guest has no memory left (${reason})`,
      { details, hint: 'Give the guest more memory' },
    );
  }
  if (reason !== undefined) {
    return new SandboxError(
      'SANDBOX_PANIC',
      `Cannot go on: the guest's kernel stopped: ${reason}`,
      {
        details,
      },
    );
  }
  if (end.reason === 'poweroff' || end.reason === 'reboot') {
    return new SandboxError('SANDBOX_CLOSED', 'Cannot go on: the guest switched itself off', {
      details,
    });
  }
  return new SandboxError('SANDBOX_CLOSED', 'Cannot go on: the sandbox was closed');
}

function lastLines(text: string, count: number): string {
  return text.split(/\r?\n/).slice(-count).join('\n').trim();
}
