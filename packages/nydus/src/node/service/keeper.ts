import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError } from '@anole/host';
import {
  activityOf,
  holdDescriptors,
  isRunning,
  killProcess,
  PreContentGroup,
  processId,
  receiveDescriptors,
  sendDescriptors,
  unixPair,
} from '@anole/host/native';
import { BATCH, THREADS, type ToKeeper, type ToService } from './keeper-messages.ts';
import { KeptSettings } from './kept-settings.ts';
import type { MountRecord } from './mount-record.ts';
import {
  clearMounts,
  endHolders,
  type HolderNote,
  notesPath,
  readNotes,
  removeNotes,
  rescue,
  writeNotes,
} from './notes.ts';
import { Pulse } from './pulse.ts';

export interface KeeperOptions {
  /** Program and arguments of the service. */
  readonly command: readonly [string, ...string[]];
  /** The service's cache, in which the keeper makes files. Others may have it, too. */
  readonly cache: string;
  /** Path of the socket of the service, which tells it from others over its cache. */
  readonly socket: string;
  /** Told what happened, in a word, and more of it. */
  onEvent?(event: string, details: Readonly<Record<string, unknown>>): void;
}

/** Longest pause before a service is started again, in milliseconds. */
const MAX_PAUSE = 5000;
/** Milliseconds until it is tried again to hold and to note what is kept. */
const AGAIN = 5000;
/** What a holder calls the file of settings, which is no service's. */
const SETTINGS = 'settings';

/**
 * Keeps what must outlive the service of images: descriptors of its mounts, files and events. While
 * the service is gone, whoever reads of its mounts waits; the service that is started in its place
 * goes on.
 *
 * Copies are with a holder, a process that only sleeps, and the keeper's notes say which: where keeper and
 * service are both killed, readers wait for the next keeper, which goes on from there.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #notes: string;
  readonly #kept = new Map<string, number>();
  #mounts: readonly MountRecord[] = [];
  #settings: KeptSettings | undefined;
  #group: PreContentGroup | undefined;
  #child: ChildProcess | undefined;
  #pulse: Pulse | undefined;
  #holder: HolderNote | undefined;
  /** Whether the holder has all that is kept. */
  #isHeld = true;
  #again: NodeJS.Timeout | undefined;
  #sealing: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isRenewed = false;
  /** Whether there has been a service that could begin. */
  #wasReady = false;
  /** Whether the one that runs could. */
  #isReady = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#notes = notesPath(options.cache, options.socket);
  }

  /**
   * Runs services, one after the other, until one has been stopped on purpose. Goes on where another keeper
   * of this cache was killed.
   *
   * @returns whether {@link renew} ended it
   * @throws HostError where not even the first could begin, and nothing is mounted
   */
  async run(signal: AbortSignal): Promise<boolean> {
    await mkdir(this.#options.cache, { recursive: true, mode: 0o700 });
    this.#group = this.#makeGroup(await this.#inherit());
    await this.#seal();
    const stop = () => this.#send({ type: 'stop' });
    signal.addEventListener('abort', stop);
    try {
      for (let pause = 0; !this.#isStopped; ) {
        const since = Date.now();
        const reason = await this.#runOne(signal);
        if (this.#isStopped || this.#isRenewed) break;
        // Nobody could unmount: what is mounted is left to the next keeper.
        if (signal.aborted && !this.#isReady) break;
        // Who reads of a mount waits for a service, however long it takes to get one.
        if (!this.#wasReady && this.#mounts.length === 0) {
          throw new HostError('HOST_IO', `Cannot serve images: the service ended with ${reason}`);
        }
        this.#tell('service ended, starting it again', { reason });
        pause = Date.now() - since > MAX_PAUSE ? 0 : Math.min(MAX_PAUSE, 2 * pause + 50);
        await sleep(pause);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      clearTimeout(this.#again);
      await this.#sealing;
      for (const [, fd] of this.#all) closeSync(fd);
      this.#kept.clear();
      this.#settings = undefined;
      await this.#group?.close();
      if (this.#isStopped) await this.#seal();
    }
    return this.#isRenewed;
  }

  /**
   * Ends {@link run}, and leaves all that is mounted to the keeper that starts next: who reads meanwhile
   * waits. So a newer program takes over.
   */
  renew(): void {
    this.#isRenewed = true;
    this.#send({ type: 'yield' });
  }

  /** Takes over what another keeper had, and gives its group of events. */
  async #inherit(): Promise<number | undefined> {
    const notes = await readNotes(this.#notes, (moved) =>
      this.#tell('notes cannot be read, and were put aside', { moved }),
    );
    if (notes === undefined) return undefined;
    // A service without its keeper may be serving still. It would take events from the next.
    if (notes.service) {
      killProcess(notes.service);
      while (isRunning(notes.service)) await sleep(10);
    }
    const rescued = await rescue(notes);
    if (rescued === undefined) {
      const mounts = clearMounts(notes);
      if (mounts.length > 0) this.#tell('cleared leftover mounts', { mounts });
      return undefined;
    }
    this.#mounts = rescued.mounts;
    for (const [name, fd] of rescued.kept) {
      if (name === SETTINGS) this.#settings = KeptSettings.read(fd);
      else this.#kept.set(name, fd);
    }
    this.#holder = notes.holders[0];
    this.#tell('goes on for a keeper that was killed', { mounts: this.#mounts.length });
    return rescued.group;
  }

  #makeGroup(inherited: number | undefined): PreContentGroup | undefined {
    try {
      return new PreContentGroup(dirname(this.#notes), inherited);
    } catch (error) {
      // The kernel or the file system cannot: the service will mount through FUSE.
      this.#tell('no mounts by the kernel', { reason: String(error) });
      return undefined;
    }
  }

  /** What must outlive this process, by names. */
  get #all(): readonly (readonly [name: string, fd: number])[] {
    const settings = this.#settings;
    return settings ? [...this.#kept, [SETTINGS, settings.fd]] : [...this.#kept];
  }

  /** Gives all descriptors to a holder, and writes down which it is. One at a time. */
  #seal(): Promise<void> {
    this.#sealing = this.#sealing.then(async () => {
      try {
        await this.#hold();
      } catch (error) {
        this.#isHeld = false;
        clearTimeout(this.#again);
        this.#again = setTimeout(() => void this.#seal(), AGAIN).unref();
        this.#tell('what is mounted would not outlive this process', { reason: String(error) });
      }
    });
    return this.#sealing;
  }

  async #hold(): Promise<void> {
    const former = this.#holder === undefined ? [] : [this.#holder];
    const all = this.#all;
    if (all.length === 0) {
      await removeNotes(this.#notes);
      endHolders(former);
      this.#holder = undefined;
      return;
    }
    if (this.#isHeld) return await this.#note(former);
    this.#isHeld = true;
    const names = all.map(([name]) => name);
    const group = this.#group ? [this.#group.fd] : [];
    const { id, stay } = await holdDescriptors([...group, ...all.map(([, fd]) => fd)]);
    const holder = { id, names, hasGroup: group.length > 0 };
    try {
      // Killed in between, it finds the former one, and the new one ends by itself.
      await this.#note([holder, ...former]);
    } catch (error) {
      // The notes still say the former one. What is in no notes nobody would find to end it.
      endHolders([holder]);
      throw error;
    }
    this.#holder = holder;
    await stay();
    endHolders(former);
  }

  #note(holders: readonly HolderNote[]): Promise<void> {
    const { pid } = this.#child ?? {};
    const service = pid === undefined ? undefined : processId(pid);
    return writeNotes(this.#notes, {
      holders,
      mounts: this.#mounts,
      ...(service && { service }),
    });
  }

  #runOne(signal: AbortSignal): Promise<string> {
    const [own, theirs] = unixPair();
    const [program, ...args] = this.#options.command;
    const group = this.#group;
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', theirs, ...(group ? [group.fd] : [])],
      env: { ...process.env, UV_THREADPOOL_SIZE: String(THREADS) },
    });
    closeSync(theirs);
    this.#child = child;
    this.#isReady = false;
    void this.#seal();
    const pulse = this.#watch(child);
    child.on('message', (message: ToKeeper) => this.#obey(message, own));
    this.#send({
      type: 'start',
      mounts: this.#mounts,
      names: [...this.#kept.keys()],
      hasGroup: group !== undefined,
      ...(this.#settings && { settings: this.#settings.settings }),
    });
    const gone = new AbortController();
    handOver(own, [...this.#kept.values()], gone.signal).catch((error: unknown) => {
      this.#tell('descriptors were not handed over', { reason: String(error) });
      child.kill('SIGKILL');
    });
    if (signal.aborted) this.#send({ type: 'stop' });
    if (this.#isRenewed) this.#send({ type: 'yield' });
    return new Promise((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, killed) => {
        gone.abort();
        pulse.stop();
        closeSync(own);
        resolve(killed ?? `exit code ${code}`);
      });
    });
  }

  /** A service that hangs keeps readers waiting as a dead one does: it is ended, and another goes on. */
  #watch(child: ChildProcess): Pulse {
    this.#pulse = new Pulse({
      ask: () => this.#send({ type: 'ask' }),
      activity: () => (child.pid === undefined ? undefined : activityOf(child.pid)),
      onHang: () => {
        this.#tell('service does not answer, ending it', { pid: child.pid });
        child.kill('SIGKILL');
      },
    });
    return this.#pulse;
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
        this.#isHeld = false;
        this.#confirm(message.id);
        return;
      }
      case 'release':
        this.#drop(message.name);
        void this.#seal();
        return;
      case 'mounts':
        this.#mounts = message.mounts;
        this.#confirm(message.id);
        return;
      case 'settings':
        this.#settings?.close();
        this.#settings = KeptSettings.make(message.settings);
        this.#isHeld = false;
        void this.#seal();
        return;
      case 'stopped':
        this.#isStopped = true;
        return;
      case 'answer':
        this.#pulse?.answered();
        return;
      case 'ready':
        this.#wasReady = true;
        this.#isReady = true;
    }
  }

  #confirm(id: number): void {
    void this.#seal().then(() => this.#send({ type: 'kept', id }));
  }

  #drop(name: string): void {
    const fd = this.#kept.get(name);
    if (fd === undefined) return;
    closeSync(fd);
    this.#kept.delete(name);
    this.#isHeld = false;
  }

  #tell(event: string, details: Readonly<Record<string, unknown>>): void {
    this.#options.onEvent?.(event, details);
  }
}

/** Sends descriptors as fast as the other end takes them: the socket has room for some thousands. */
async function handOver(
  socket: number,
  descriptors: readonly number[],
  gone: AbortSignal,
): Promise<void> {
  for (let at = 0; at < descriptors.length && !gone.aborted; ) {
    const sent = sendDescriptors(socket, Uint8Array.of(1), descriptors.slice(at, at + BATCH));
    if (sent === undefined) await sleep(1);
    else at += BATCH;
  }
}
