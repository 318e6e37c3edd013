import { setTimeout as sleep } from 'node:timers/promises';
import { HostError } from '@anole/host';
import { receiveDescriptors, sendDescriptors } from '@anole/host/native';
import { inherited, type ToKeeper, type ToService } from './keeper-messages.ts';
import type { DescriptorKeeper } from './mount.ts';
import type { Legacy, MountRecord } from './mount-record.ts';
import type { Settings } from './settings.ts';

/** What a service begins with. */
interface Opened {
  readonly link: KeeperLink;
  readonly legacy: Legacy;
  readonly hasGroup: boolean;
  readonly settings?: Settings;
}

/** A service's end of the link to its keeper. */
export class KeeperLink implements DescriptorKeeper {
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  /** Also where the keeper says so before the service has begun. */
  readonly #ending = Promise.withResolvers<'stop' | 'yield'>();
  #turn = 0;

  /** Waits for the keeper's first word. @throws HostError where this process has no keeper */
  static async open(): Promise<Opened> {
    if (process.send === undefined) {
      throw new HostError('HOST_IO', 'Cannot serve images: this process has no keeper', {
        hint: 'Start it by: anole image serve',
      });
    }
    const link = new KeeperLink();
    const first = await new Promise<Extract<ToService, { type: 'start' }>>((resolve) => {
      process.on('disconnect', () => link.#left());
      process.on('message', (message: ToService) => {
        if (message.type === 'start') resolve(message);
        else if (message.type === 'kept') link.#kept(message.id);
        else if (message.type === 'ask') link.#tell({ type: 'answer' });
        else link.#ending.resolve(message.type);
      });
    });
    const descriptors = await receiveAll(first.names);
    const { mounts, hasGroup, settings } = first;
    return { link, legacy: { mounts, descriptors }, hasGroup, ...(settings && { settings }) };
  }

  /** Waits until the keeper wants the service to end, or to make room for the next. */
  get ending(): Promise<'stop' | 'yield'> {
    return this.#ending.promise;
  }

  keep(name: string, fd: number): Promise<void> {
    if (process.connected) sendDescriptors(inherited.socket, Uint8Array.of(1), [fd]);
    return this.#confirmed((id) => ({ type: 'keep', id, name }));
  }

  release(name: string): void {
    this.#tell({ type: 'release', name });
  }

  /** Resolves when the next keeper would know them; at once where there is none. */
  async mounts(mounts: readonly MountRecord[]): Promise<void> {
    // Without a keeper the mounts go on as long as this process does; their holder has what it needs to know.
    await this.#confirmed((id) => ({ type: 'mounts', id, mounts })).catch(() => {});
  }

  settings(settings: Settings): void {
    this.#tell({ type: 'settings', settings });
  }

  /** Says that all is up. */
  ready(): void {
    this.#tell({ type: 'ready' });
  }

  /** Says that the end is on purpose, and lets go of the keeper. */
  stopped(): Promise<void> {
    return new Promise((resolve) => {
      if (!process.connected) resolve();
      else {
        process.send?.({ type: 'stopped' } satisfies ToKeeper, () => {
          process.disconnect();
          resolve();
        });
      }
    });
  }

  /** Tells the keeper, and waits until it has done it. @throws HostError where it is gone */
  #confirmed(message: (id: number) => ToKeeper): Promise<void> {
    if (!process.connected) return Promise.reject(keeperIsGone());
    const id = this.#turn++;
    const waiting = Promise.withResolvers<void>();
    this.#waiting.set(id, waiting);
    this.#tell(message(id));
    return waiting.promise;
  }

  #kept(id: number): void {
    this.#waiting.get(id)?.resolve();
    this.#waiting.delete(id);
  }

  /** The keeper has ended, and confirms nothing any more. */
  #left(): void {
    for (const { reject } of this.#waiting.values()) reject(keeperIsGone());
    this.#waiting.clear();
  }

  #tell(message: ToKeeper): void {
    if (process.connected) process.send?.(message, () => {});
  }
}

function keeperIsGone(): HostError {
  return new HostError('HOST_IO', 'Cannot mount: the keeper of this service is gone', {
    hint: 'What is mounted is served on. Start the service again: anole image serve',
  });
}

async function receiveAll(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const all: number[] = [];
  while (all.length < names.length) {
    const received = receiveDescriptors(inherited.socket, 1);
    if (received === undefined) await sleep(1);
    else if (received.bytes.length === 0) break;
    else all.push(...received.descriptors);
  }
  return new Map(all.map((fd, at) => [names[at]!, fd]));
}
