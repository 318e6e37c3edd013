import { performance } from 'node:perf_hooks';
import { internals, type PipeHandle } from '../socket/internals.ts';
import type { Connection } from './connection.ts';
import { Doorbell } from './doorbell.ts';
import { Head, QUEUE_OFFSET, SLOTS, Slot, slotWord } from './layout.ts';
import type { LinkMemory } from './memory.ts';
import { Pace } from './pace.ts';
import { poller } from './poller.ts';
import { RingSpace } from './ring-space.ts';

/** Who is at the other end. */
export interface LinkPeer {
  readonly pid: number;
  readonly thread: number;
  /** Of this run of that thread. */
  readonly endpoint: string;
}

const QUEUE = QUEUE_OFFSET / 4;
/** News taken at once; the rest waits for the next turn of the loop. */
const BATCH = 1024;

/**
 * What two threads share: a memory each, a doorbell, and up to `SLOTS` connections. The client's
 * side gives out slots, the server's side answers in the slot of the same number.
 */
export class Link {
  readonly role: 'client' | 'server';
  readonly own: LinkMemory;
  readonly peerMemory: LinkMemory;
  readonly peer: LinkPeer;
  readonly space = new RingSpace();
  readonly connections: (Connection | undefined)[] = [];
  /** Called with slots that have news but no connection here: claims. */
  onClaim: (slot: number) => void = () => {};
  /** Called once when the other side is gone. */
  onEnd: () => void = () => {};
  isOpen = true;
  private isDisposed = false;
  private count = 0;
  private readonly doorbell: Doorbell;
  private readonly freeSlots: number[] = [];
  private slots = 0;
  /** Positions in the queues, not modulo anything. */
  private tail = 0;
  private taken = 0;
  /** Where in our queue each slot was last told. */
  private readonly toldAt: number[] = [];
  private batch: number[] = [];
  private batchAt = 0;
  private again: Connection[] = [];
  /** As in our memory: odd while asleep. */
  private sleep = 1;
  private rangFor = 0;
  private readonly pace = new Pace();
  private wantsClaims = false;
  /** The connection whose writer was the last to wait for room. */
  private watched: Connection | undefined;

  constructor(
    role: 'client' | 'server',
    own: LinkMemory,
    peerMemory: LinkMemory,
    peer: LinkPeer,
    pipe: PipeHandle,
  ) {
    this.role = role;
    this.own = own;
    this.peerMemory = peerMemory;
    this.peer = peer;
    Atomics.store(own.words, Head.sleep, this.sleep);
    this.doorbell = new Doorbell(
      pipe,
      () => this.onRing(),
      () => this.end(),
    );
  }

  /** Connections that live, or that linger until the other end has read all. */
  get size(): number {
    return this.count;
  }

  /** A slot that is free on both sides; undefined where there is none. Client only. */
  takeSlot(): number | undefined {
    const free = this.freeSlots.pop();
    if (free !== undefined) return free;
    return this.slots < SLOTS ? this.slots++ : undefined;
  }

  add(connection: Connection): void {
    // The client has closed it, or the slot were not free.
    this.connections[connection.slot]?.replaced();
    this.connections[connection.slot] = connection;
    this.count++;
  }

  /** The connection is over on both sides. */
  remove(connection: Connection): void {
    if (this.connections[connection.slot] !== connection) return;
    this.connections[connection.slot] = undefined;
    this.count--;
    if (this.role === 'client') this.freeSlots.push(connection.slot);
    if (!this.isOpen && this.count === 0) this.dispose();
  }

  /** Tells the peer that a slot has news. @param quiet it will look by itself */
  tell(slot: number, quiet = false): void {
    if (!this.isOpen) return;
    const { words } = this.own;
    const theirs = this.peerMemory.words;
    const untaken = (this.tail - Atomics.load(theirs, Head.taken)) >>> 0;
    if (untaken > SLOTS) {
      this.breakOff();
      return;
    }
    const told = this.toldAt[slot];
    if (told === undefined || told < this.tail - untaken) {
      this.toldAt[slot] = this.tail;
      words[QUEUE + (this.tail % SLOTS)] = slot;
      this.tail++;
      Atomics.store(words, Head.tail, this.tail | 0);
    }
    if (quiet) return;
    const sleep = Atomics.load(theirs, Head.sleep);
    if ((sleep & 1) === 0) this.pace.invite();
    else if (sleep !== this.rangFor) {
      this.rangFor = sleep;
      this.doorbell.ring();
    }
  }

  /** Server: whether claims should ring, since connections wait for them. */
  expectClaims(wanted: boolean): void {
    if (wanted === this.wantsClaims || !this.isOpen) return;
    this.wantsClaims = wanted;
    Atomics.store(this.own.words, Head.claims, wanted ? 1 : 0);
  }

  /** Client: whether the server sleeps until it hears of claims. */
  get peerExpectsClaims(): boolean {
    return Atomics.load(this.peerMemory.words, Head.claims) !== 0;
  }

  /** An answer may come soon: waits for it by polling where that is worth it. */
  expectAnswer(): void {
    if (this.isAwake) this.pace.restart(performance.now());
    else if (this.pace.isPollingWorth()) this.stayAwake();
  }

  /**
   * A writer waits for room in a connection. As long as the peer is seen reading, it runs beside us,
   * and needs not ring to have us go on.
   */
  watch(connection: Connection): void {
    this.watched = connection;
    this.stayAwake();
  }

  /** Looks at a connection again in the next turn, for what was left over. */
  later(connection: Connection): void {
    if (!this.isOpen) {
      // Nobody polls a link that has ended, but what its peer wrote is still to be read.
      setImmediate(() => connection.look());
      return;
    }
    this.again.push(connection);
    this.stayAwake();
  }

  /** While asleep; the peer rings once for each time. */
  private onRing(): void {
    this.poll();
    if (this.isAwake) return;
    if (this.pace.isPollingWorth() || !this.lieDown()) this.stayAwake();
  }

  private get isAwake(): boolean {
    return (this.sleep & 1) === 0;
  }

  private stayAwake(): void {
    if (!this.isOpen) return;
    this.pace.restart(performance.now());
    if (this.isAwake) return;
    this.setSleep(this.sleep + 1);
    poller.wake(this);
  }

  private setSleep(value: number): void {
    this.sleep = value | 0;
    Atomics.store(this.own.words, Head.sleep, this.sleep);
  }

  /** Goes to sleep, or to sleep anew; false where there are news after all. */
  private lieDown(): boolean {
    this.setSleep((this.sleep + 1) | 1);
    return !this.hasNews();
  }

  /** A turn of the loop, while awake. @returns whether there will be another */
  turn(): boolean {
    if (!this.isOpen) return false;
    const { pace } = this;
    const { since } = pace;
    if (this.poll()) {
      pace.foundNews(since);
      return this.isOpen;
    }
    const now = performance.now();
    if (this.watched?.peerReads()) pace.restart(now);
    if (pace.isPatient(now, this.watched !== undefined)) return true;
    this.watched = undefined;
    pace.missNews();
    if (this.lieDown()) return false;
    this.setSleep(this.sleep + 1);
    return true;
  }

  private hasNews(): boolean {
    return Atomics.load(this.peerMemory.words, Head.tail) !== (this.taken | 0);
  }

  /** Handles what the peer told; says whether there was something. */
  poll(): boolean {
    if (this.again.length > 0) {
      this.batch.push(...this.again.splice(0).map(({ slot }) => slot));
    }
    if (this.hasNews()) this.fetch();
    if (this.batchAt >= this.batch.length) return false;
    const gap = this.pace.meetNews(performance.now());
    this.pace.learn(gap, this.deliver());
    return true;
  }

  /** Takes slots from the peer's queue, all before any is looked at: later news are told anew. */
  private fetch(): void {
    const { words } = this.peerMemory;
    const count = (Atomics.load(words, Head.tail) - this.taken) >>> 0;
    if (count > SLOTS) {
      this.breakOff();
      return;
    }
    const end = this.taken + Math.min(count, BATCH);
    for (; this.taken < end; this.taken++) {
      const slot = words[QUEUE + (this.taken % SLOTS)]!;
      if (slot < 0 || slot >= SLOTS) {
        this.breakOff();
        return;
      }
      this.batch.push(slot);
    }
    Atomics.store(this.own.words, Head.taken, this.taken | 0);
  }

  /**
   * A listener may throw, or have this called anew: each slot is taken off before it is handled.
   *
   * @returns whether bytes have moved in some connection
   */
  private deliver(): boolean {
    const { runTicks } = internals();
    let moved = false;
    while (this.batchAt < this.batch.length) {
      const slot = this.batch[this.batchAt++]!;
      const connection = this.connections[slot];
      const isOwned = connection?.look() ?? false;
      moved ||= connection?.hasMoved ?? false;
      if (isOwned) runTicks();
      // The slot may have been free all along, or be free now and claimed anew.
      if (this.connections[slot] === undefined) this.onClaim(slot);
    }
    this.batch = [];
    this.batchAt = 0;
    return moved;
  }

  /** The peer does what it must not: all connections end. */
  private breakOff(): void {
    this.doorbell.close();
    this.end();
  }

  private end(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    poller.forget(this);
    this.onEnd();
    for (const connection of this.connections) connection?.linkEnded();
    if (this.count === 0) this.dispose();
  }

  /** Ends a link without connections. */
  close(): void {
    this.doorbell.close();
    this.end();
  }

  private dispose(): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    this.own[Symbol.dispose]();
    this.peerMemory[Symbol.dispose]();
  }

  /** The state that the peer's slot tells, with its generation. */
  peerState(slot: number): number {
    return Atomics.load(this.peerMemory.words, slotWord(slot) + Slot.state);
  }
}
