import { once } from 'node:events';
import { type SignalName, signalNumber } from '@anole/sandbox';
import { type Frame, type FrameSocket, kind } from '../daemon/frames.ts';
import type { Interrupts } from './interrupts.ts';
import { interrupted } from './session.ts';
import type { RawTerminal } from './terminal.ts';

interface Steering {
  readonly interrupts: Interrupts;
  readonly terminal: RawTerminal | undefined;
  /** Whether what the user types goes to the command. */
  readonly stdin: boolean;
}

/** A command of the daemon's runs: what the user does goes to it. Giving up leaves it. */
export function steer(connection: FrameSocket, { interrupts, terminal, stdin }: Steering): void {
  const leave = () => connection.leave(interrupted());
  interrupts.forward({
    kill: (signal: SignalName | number = 'SIGTERM') =>
      void connection.sendJson({ signal: signalNumber(signal) }),
  });
  interrupts.signal.addEventListener('abort', leave, { once: true });
  terminal?.onResize((resize) => void connection.sendJson({ resize }));
  if (!stdin) return;
  const input = terminal?.keys(leave) ?? (process.stdin as AsyncIterable<Uint8Array>);
  void (async () => {
    for await (const bytes of input) await connection.send(kind.data, bytes);
    await connection.send(kind.end, new Uint8Array(0));
  })().catch(() => {});
}

/** Prints what a command of the daemon's prints. */
export async function show({ kind: what, payload }: Frame): Promise<void> {
  const stream = what === kind.stderr ? process.stderr : process.stdout;
  if (!stream.write(payload.slice())) await once(stream, 'drain');
}
