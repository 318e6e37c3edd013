import { Flag, GENERATION_SHIFT, SLOT_WORDS, Slot, STATE_MASK, State, slotWord } from './layout.ts';
import type { Link } from './link.ts';
import { RingReader } from './ring-reader.ts';
import { RingWriter } from './ring-writer.ts';

/** Whoever a connection belongs to. */
export interface ConnectionOwner {
  /** Something has changed; `connection` has been brought up to date. */
  onNews(): void;
}

/** Looks at a word of the peer that changes within some instructions. */
const LOOKS = 1_000_000;

/** Why a connection is over that was not closed by both ends. */
export type Failure = 'reset' | 'violation';

/**
 * One end of a connection in shared memory. It knows cursors and flags, and nothing of sockets.
 *
 * The life of a client's: `claim`, then `live` or `tcp`, then `close`. Of a server's: accepted, so
 * `live`, then `close`. It leaves its link when both ends have closed.
 */
export class Connection {
  readonly link: Link;
  readonly slot: number;
  readonly writer: RingWriter;
  readonly reader: RingReader;
  /** Whether the peer takes part; until then bytes that are written may still go over TCP. */
  isLive = false;
  /** The peer goes over TCP. */
  isRefused = false;
  /** The peer writes no more than what is there. */
  peerDone = false;
  /** It said so itself, and did not only go. */
  peerFinished = false;
  /** The peer reads no more. */
  peerClosed = false;
  /** The peer goes on over TCP: its cursors are final. */
  peerMoved = false;
  failure: Failure | undefined;
  /** Whether the last look found that bytes were written or read, not only that it begins or ends. */
  hasMoved = false;
  owner: ConnectionOwner | undefined;
  private readonly generation: number;
  private readonly word: number;
  private flags = 0;
  private seenConsumer = 0;
  private isClosed = false;
  private gone = false;

  constructor(link: Link, slot: number, generation: number) {
    this.link = link;
    this.slot = slot;
    this.generation = generation;
    this.word = slotWord(slot);
    this.writer = new RingWriter(link.own, link.space, slot);
    this.reader = new RingReader(link.peerMemory, slot);
    link.add(this);
  }

  /** Client: a new connection in a free slot of the link; undefined where it is full. */
  static claim(link: Link, port: number): Connection | undefined {
    const slot = link.isOpen ? link.takeSlot() : undefined;
    if (slot === undefined) return undefined;
    const { words } = link.own;
    const word = slotWord(slot);
    const generation = ((words[word + Slot.state]! >>> GENERATION_SHIFT) + 1) & 0xffffff;
    const connection = new Connection(link, slot, generation);
    // Whoever still looks at the connection before must see first that it is over.
    connection.setState('closed');
    words.fill(0, word + 1, word + SLOT_WORDS);
    words[word + Slot.ports] = port;
    connection.setState('connecting');
    link.tell(slot, true);
    return connection;
  }

  /**
   * Server: takes the client's claim of a slot, if the client still stands by it.
   *
   * @param claimed what the slot said when the claim was read
   */
  static accept(link: Link, slot: number, claimed: number): Connection | undefined {
    const generation = claimed >>> GENERATION_SHIFT;
    if (link.peerState(slot) >>> GENERATION_SHIFT !== generation) return undefined;
    const connection = new Connection(link, slot, generation);
    const word = slotWord(slot);
    link.own.words.fill(0, word + 1, word + SLOT_WORDS);
    connection.setState('live');
    connection.isLive = true;
    // The client may be deciding at this moment.
    for (let look = 0; look < LOOKS; look++) {
      const now = link.peerState(slot);
      const state = now >>> GENERATION_SHIFT === generation ? now & STATE_MASK : State.closed;
      if (state === State.claimed || state === State.live) {
        link.tell(slot, !connection.peerWaits());
        return connection;
      }
      if (state !== State.leaving) break;
    }
    connection.refuse();
    return undefined;
  }

  /** Whether the peer wants to hear of what happens, and does not look by itself. */
  private peerWaits(): boolean {
    const flags = Atomics.load(this.link.peerMemory.words, this.word + Slot.flags);
    return (flags & (Flag.writeBlocked | Flag.closed)) !== 0;
  }

  /** Has the peer tell when it takes part. */
  askToBeTold(): void {
    this.setFlag(Flag.writeBlocked);
  }

  /** Server: the connection goes over TCP. */
  refuse(): void {
    this.setState('tcp');
    this.link.tell(this.slot);
    this.drop();
  }

  setState(state: keyof typeof State): void {
    const value = (this.generation << GENERATION_SHIFT) | State[state];
    Atomics.store(this.link.own.words, this.word + Slot.state, value);
  }

  /** Client: shows the addresses, by which the server knows the connection. */
  publishClaim(local: readonly number[], remote: readonly number[], ports: number): void {
    const { words } = this.link.own;
    words.set(local, this.word + Slot.local);
    words.set(remote, this.word + Slot.remote);
    words[this.word + Slot.ports] = ports;
    this.setState('claimed');
    this.link.tell(this.slot, !this.link.peerExpectsClaims);
  }

  /**
   * Client: gives shared memory up unless the server has just taken the connection.
   *
   * @returns whether it is given up
   */
  leave(): boolean {
    if (this.isLive) return false;
    this.setState('leaving');
    const stage = this.peerStage();
    if (stage === State.live || stage === State.moving || stage === State.moved) {
      this.confirm();
      return false;
    }
    this.setState('tcp');
    this.link.tell(this.slot);
    this.drop();
    return true;
  }

  /** What the peer says of this connection; undefined while its slot has another. */
  private peerStage(): number | undefined {
    const told = this.link.peerState(this.slot);
    return told >>> GENERATION_SHIFT === this.generation ? told & STATE_MASK : undefined;
  }

  /** The same, once it is none of those that last some instructions. */
  private settledStage(): number | undefined {
    let stage = this.peerStage();
    for (let look = 0; stage === State.moving && look < LOOKS; look++) stage = this.peerStage();
    return stage;
  }

  /**
   * Goes on over TCP, unless the peer has left or is just leaving: then `peerMoved` says so, or what else
   * it did. What was written is read by the peer, which sends over TCP what was not read here.
   */
  move(): boolean {
    this.refresh();
    if (this.gone || this.peerMoved || this.peerClosed || this.failure !== undefined) return false;
    this.setState('moving');
    // Of two that leave at once the server does, unless the client had done it before.
    const theirs = this.link.role === 'client' ? this.peerStage() : this.settledStage();
    const stays = theirs === State.claimed || theirs === State.live || theirs === State.leaving;
    const flags = Atomics.load(this.link.peerMemory.words, this.word + Slot.flags);
    if (!stays || (flags & (Flag.closed | Flag.abort)) !== 0) {
      this.setState('live');
      this.refresh();
      return false;
    }
    this.setState('moved');
    this.isClosed = true;
    this.owner = undefined;
    this.link.tell(this.slot);
    return true;
  }

  /** Leaves a connection that the peer has moved from. */
  depart(): void {
    this.setFlag(Flag.closed);
    this.setState('closed');
    this.link.tell(this.slot);
    this.isClosed = true;
    this.owner = undefined;
    this.drop();
  }

  private confirm(): void {
    this.isLive = true;
    this.setState('live');
  }

  /** Brings everything up to date and lets the owner know; says whether there was an owner. */
  look(): boolean {
    const { unread } = this.reader;
    const { pending } = this.writer;
    this.refresh();
    this.hasMoved = this.reader.unread !== unread || this.writer.pending !== pending;
    if (this.isClosed) this.finishClosing();
    if (this.gone || this.owner === undefined) return false;
    this.owner.onNews();
    return true;
  }

  /** Reads what the peer tells. */
  refresh(): void {
    if (this.gone || this.failure !== undefined) return;
    const { words } = this.link.peerMemory;
    const stage = this.settledStage();
    if (stage === undefined) {
      // The peer's slot still has, or has again, another connection.
      if (this.isLive) this.peerDone = this.peerClosed = true;
      return;
    }
    if (!this.isLive) {
      if (stage === State.tcp) this.isRefused = true;
      if (stage !== State.live && stage !== State.closed && stage !== State.moved) return;
      this.confirm();
    }
    const flags = Atomics.load(words, this.word + Slot.flags);
    if (!this.writer.acknowledge(Atomics.load(words, this.word + Slot.consumer))) {
      this.fail();
      return;
    }
    if (!this.reader.look()) {
      this.fail();
      return;
    }
    if ((flags & Flag.doneWriting) !== 0) this.peerDone = this.peerFinished = true;
    if (stage === State.moved) this.peerMoved = true;
    if ((flags & Flag.closed) !== 0 || stage === State.closed)
      this.peerDone = this.peerClosed = true;
    if ((flags & Flag.abort) !== 0) this.failure ??= 'reset';
  }

  private fail(): void {
    this.failure = 'violation';
    this.setFlag(Flag.abort | Flag.closed);
    this.link.tell(this.slot);
  }

  private setFlag(bits: number): void {
    if (this.gone) return;
    this.flags |= bits;
    Atomics.store(this.link.own.words, this.word + Slot.flags, this.flags);
  }

  private clearFlag(bits: number): void {
    if (this.gone || (this.flags & bits) === 0) return;
    this.flags &= ~bits;
    Atomics.store(this.link.own.words, this.word + Slot.flags, this.flags);
  }

  /** Shows the peer what has been written. */
  publish(): void {
    if (this.gone) return;
    this.writer.publish();
    this.link.tell(this.slot);
    this.link.expectAnswer();
  }

  /**
   * There is more to write than room: the peer tells when it has read.
   *
   * @returns whether there is room after all
   */
  waitForRoom(): boolean {
    this.setFlag(Flag.writeBlocked);
    this.publish();
    const { words } = this.link.peerMemory;
    if (!this.isLive) return false;
    if (!this.writer.acknowledge(Atomics.load(words, this.word + Slot.consumer))) this.fail();
    if (this.writer.room(1) > 0) return true;
    this.link.watch(this);
    return false;
  }

  /** Whether the peer has read since the last call, while a writer waits for that. */
  peerReads(): boolean {
    if ((this.flags & Flag.writeBlocked) === 0) return false;
    const seen = Atomics.load(this.link.peerMemory.words, this.word + Slot.consumer);
    const moved = seen !== this.seenConsumer;
    this.seenConsumer = seen;
    return moved;
  }

  hasRoom(): void {
    this.clearFlag(Flag.writeBlocked);
  }

  /** Tells the peer how much has been read. */
  publishTaken(): void {
    if (this.gone) return;
    const { words } = this.link.own;
    Atomics.store(words, this.word + Slot.consumer, this.reader.consumer | 0);
    const theirs = Atomics.load(this.link.peerMemory.words, this.word + Slot.flags);
    if ((theirs & Flag.writeBlocked) !== 0 && this.reader.isRunningLow) this.link.tell(this.slot);
  }

  /** No more bytes follow. */
  finish(): void {
    this.setFlag(Flag.doneWriting);
    this.publish();
  }

  /** Tells that this end neither reads nor writes any more; what was written can still be read. */
  sayClosed(abort: boolean): void {
    this.setFlag(abort ? Flag.closed | Flag.abort : Flag.closed);
    this.link.tell(this.slot);
  }

  /** Says so, and leaves the link when the peer has closed too. */
  close(abort: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.owner = undefined;
    this.sayClosed(abort);
    this.refresh();
    this.finishClosing();
  }

  private finishClosing(): void {
    if (this.gone || !(this.peerClosed || this.failure !== undefined || !this.link.isOpen)) return;
    // The peer has closed too, and needs not hear of it.
    this.setState('closed');
    this.drop();
  }

  /** The peer's process is gone, or has broken the rules of the link. */
  linkEnded(): void {
    this.refresh();
    if (this.isClosed) {
      this.drop();
      return;
    }
    if (!this.isLive) this.isRefused = true;
    else if (this.peerMoved) {
      this.owner?.onNews();
      return;
    }
    // As TCP has it: what the peer did not read is answered with a reset.
    else if (this.writer.pending > 0) this.failure ??= 'reset';
    this.peerDone = this.peerClosed = true;
    this.owner?.onNews();
  }

  /** Server: the client uses the slot for its next connection. From now on nothing is written into it. */
  replaced(): void {
    if (this.owner !== undefined) this.failure ??= 'reset';
    this.peerDone = this.peerClosed = true;
    this.reader.forget();
    this.drop();
    this.owner?.onNews();
  }

  private drop(): void {
    if (this.gone) return;
    this.gone = true;
    this.writer.release();
    this.link.remove(this);
  }
}
