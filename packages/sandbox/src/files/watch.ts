import type { FilesCalls } from './calls.ts';
import type { FileEvent } from './messages.ts';

/** Events that wait for their reader; then only that there were more. */
const maxWaiting = 10_000;

/** The events of a watch, until its reader leaves, its signal aborts or the sandbox closes. */
export function watchEvents(
  calls: FilesCalls,
  handle: number,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<FileEvent> {
  const queue: FileEvent[] = [];
  let ended = false;
  let wake: (() => void) | undefined;
  const end = () => {
    if (!ended) calls.unwatch(handle);
    ended = true;
    signal?.removeEventListener('abort', end);
    wake?.();
  };
  calls.watch(handle, (events) => {
    if (events === undefined) ended = true;
    const room = maxWaiting - queue.length;
    queue.push(...(events ?? []).slice(0, Math.max(0, room)));
    if ((events?.length ?? 0) > room && queue.at(-1)?.kind !== 'overflow') {
      queue.push({ kind: 'overflow', path: events![0]!.path });
    }
    wake?.();
  });
  signal?.addEventListener('abort', end, { once: true });
  async function* read(): AsyncGenerator<FileEvent> {
    try {
      for (;;) {
        const event = queue.shift();
        if (event !== undefined) yield event;
        else if (ended) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      end();
    }
  }
  return read();
}
