import type { MessagePort } from 'node:worker_threads';
import type { Stale } from '@anole/fuse';
import { errorOf } from '../engine/reported.ts';
import { SandboxError } from '../errors.ts';
import type { FileEvent, FilesCall, FilesReport, FilesRequest } from './messages.ts';

interface Hooks {
  /** What the guest holds of names that a call changed: before the call resolves. */
  readonly onStale: (stale: readonly Stale[]) => void;
}

/** Calls to the thread of the machine, and their answers. */
export class FilesCalls {
  readonly #port: MessagePort;
  readonly #hooks: Hooks;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #watchers = new Map<number, (events: readonly FileEvent[] | undefined) => void>();
  #next = 1;
  #closed = false;

  constructor(port: MessagePort, hooks: Hooks) {
    this.#port = port;
    this.#hooks = hooks;
    port.on('message', (report: FilesReport) => this.#accept(report));
    port.on('close', () => this.#end());
    // The machine's thread keeps the process, as long as it lives.
    port.unref();
  }

  call<T>(call: FilesCall, transfer: readonly ArrayBuffer[] = []): Promise<T> {
    if (this.#closed) return Promise.reject(closed());
    const id = this.#next++;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#port.postMessage({ ...call, id } satisfies FilesRequest, transfer);
    return waiting.promise as Promise<T>;
  }

  /** Says something that needs no answer. */
  tell(call: FilesCall): void {
    if (!this.#closed) this.#port.postMessage({ ...call, id: 0 } satisfies FilesRequest);
  }

  /** Sets who gets the events of a watch; `undefined` for the end. */
  watch(handle: number, watcher: (events: readonly FileEvent[] | undefined) => void): void {
    if (this.#closed) watcher(undefined);
    else this.#watchers.set(handle, watcher);
  }

  unwatch(handle: number): void {
    this.#watchers.delete(handle);
    this.tell({ op: 'unwatch', handle });
  }

  #accept(report: FilesReport): void {
    if ('watch' in report) {
      this.#watchers.get(report.watch)?.(report.events);
      return;
    }
    const { id, stale, error, value } = report;
    if (stale !== undefined) this.#hooks.onStale(stale);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(errorOf(error));
  }

  #end(): void {
    this.#closed = true;
    for (const waiting of this.#waiting.values()) waiting.reject(closed());
    for (const watcher of this.#watchers.values()) watcher(undefined);
    this.#waiting.clear();
    this.#watchers.clear();
  }
}

function closed(): SandboxError {
  return new SandboxError('SANDBOX_CLOSED', 'Cannot reach the files: the sandbox was closed');
}
