import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError } from '@anole/host';
import { PreContentGroup, receiveDescriptors, sendDescriptors, unixPair } from '@anole/host/native';
import { BATCH, type ToKeeper, type ToService } from './keeper-messages.ts';
import type { MountRecord } from './service.ts';

export interface KeeperOptions {
  /** Program and arguments of the service. */
  readonly command: readonly [string, ...string[]];
  /** The service's cache, in which the keeper makes a file. */
  readonly cache: string;
  /** Told when a service ended that should not have. */
  onRestart?(reason: string): void;
  /** Told why images cannot be mounted by the kernel. */
  onNoGroup?(error: unknown): void;
  /** Told when mounts come or go. */
  onMounts?(mounts: readonly MountRecord[]): void;
}

/** Longest pause before a service is started again, in milliseconds. */
const MAX_PAUSE = 5000;
/** Threads of Node's pool: each mount through FUSE has one that waits, and events one. */
const THREADS = '256';

/**
 * Keeps what must outlive the service of images: descriptors of its mounts, files and events. While
 * the service is gone, whoever reads of its mounts waits; the service that is started in its place
 * goes on. Where both are killed at once nobody is left to say no, so this one does as little as it
 * can.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #kept = new Map<string, number>();
  #mounts: readonly MountRecord[] = [];
  #group: PreContentGroup | undefined;
  #child: ChildProcess | undefined;
  #isStopped = false;
  /** Whether there has been a service that could begin. */
  #wasReady = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /**
   * Runs services, one after the other, until one has been stopped on purpose.
   *
   * @throws HostError where not even the first could begin
   */
  async run(signal: AbortSignal): Promise<void> {
    await mkdir(this.#options.cache, { recursive: true });
    this.#group = this.#makeGroup();
    const stop = () => this.#send({ type: 'stop' });
    signal.addEventListener('abort', stop);
    try {
      for (let pause = 0; !this.#isStopped; ) {
        const since = Date.now();
        const reason = await this.#runOne(signal);
        if (this.#isStopped) break;
        if (!this.#wasReady) {
          throw new HostError('HOST_IO', `Cannot serve images: the service ended with ${reason}`);
        }
        this.#options.onRestart?.(reason);
        pause = Date.now() - since > MAX_PAUSE ? 0 : Math.min(MAX_PAUSE, 2 * pause + 50);
        await sleep(pause);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      for (const fd of this.#kept.values()) closeSync(fd);
      await this.#group?.close();
    }
  }

  #makeGroup(): PreContentGroup | undefined {
    try {
      return new PreContentGroup(join(this.#options.cache, 'bell-keeper'));
    } catch (error) {
      // The kernel or the file system cannot: the service will mount through FUSE.
      this.#options.onNoGroup?.(error);
      return undefined;
    }
  }

  #runOne(signal: AbortSignal): Promise<string> {
    const [own, theirs] = unixPair();
    const [program, ...args] = this.#options.command;
    const group = this.#group;
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', theirs, ...(group ? [group.fd] : [])],
      env: { ...process.env, UV_THREADPOOL_SIZE: THREADS },
    });
    closeSync(theirs);
    this.#child = child;
    child.on('message', (message: ToKeeper) => this.#obey(message, own));
    this.#send({
      type: 'start',
      mounts: this.#mounts,
      names: [...this.#kept.keys()],
      hasGroup: group !== undefined,
    });
    const all = [...this.#kept.values()];
    for (let at = 0; at < all.length; at += BATCH) {
      sendDescriptors(own, Uint8Array.of(1), all.slice(at, at + BATCH));
    }
    if (signal.aborted) this.#send({ type: 'stop' });
    return new Promise((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, killed) => {
        closeSync(own);
        resolve(killed ?? `exit code ${code}`);
      });
    });
  }

  #send(message: ToService): void {
    if (this.#child?.connected) this.#child.send(message, () => {});
  }

  #obey(message: ToKeeper, socket: number): void {
    switch (message.type) {
      case 'keep': {
        const [fd] = receiveDescriptors(socket, 1)?.descriptors ?? [];
        if (fd === undefined) return;
        this.#drop(message.name);
        this.#kept.set(message.name, fd);
        this.#send({ type: 'kept', id: message.id });
        return;
      }
      case 'release':
        this.#drop(message.name);
        return;
      case 'mounts':
        this.#mounts = message.mounts;
        this.#options.onMounts?.(message.mounts);
        return;
      case 'stopped':
        this.#isStopped = true;
        return;
      case 'ready':
        this.#wasReady = true;
    }
  }

  #drop(name: string): void {
    const fd = this.#kept.get(name);
    if (fd !== undefined) closeSync(fd);
    this.#kept.delete(name);
  }
}
