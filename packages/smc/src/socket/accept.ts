import { Connection } from '../shm/connection.ts';
import { Slot, STATE_MASK, State, slotWord } from '../shm/layout.ts';
import type { Link } from '../shm/link.ts';
import { Rendezvous } from '../shm/rendezvous.ts';
import { addressWords, connectionKey, isOnThisHost, nameOf, portWord } from './address.ts';
import { smcHandle } from './handle.ts';
import {
  type HandledServer,
  onOwner,
  ownerOf,
  type SocketName,
  type TcpHandle,
} from './internals.ts';
import { isByKernel, setKernelState } from './kernel.ts';
import { whyNoMemory } from './memory.ts';
import type { FallbackName } from './reasons.ts';
import { counters, setState, setTcp } from './state.ts';

interface Claim {
  readonly link: Link;
  readonly slot: number;
  /** What the slot said then: it may have become another connection's. */
  readonly state: number;
  readonly key: string;
}

type OnConnection = (error: number, client?: TcpHandle) => void;

interface ListenHandle {
  onconnection: OnConnection;
  close(...args: unknown[]): unknown;
}

/** Milliseconds that an accepted connection waits for a client which is just about to claim it. */
const PATIENCE = 1000;
/** Of what a process left behind that is gone. */
const LEGACY = 5000;

/** A connection that was accepted before its client could claim it. */
interface Waiting {
  readonly key: string;
  readonly port: number;
  /** Called once, with the claim or without. */
  readonly found: (connection: Connection | undefined) => void;
  readonly timer: NodeJS.Timeout;
}

/** What clients claim of this thread's servers, and servers ask for when they accept. */
class Acceptor {
  private readonly rendezvous = new Rendezvous((link) => this.adopt(link));
  private readonly claims = new Map<string, Claim>();
  private readonly bySlot = new Map<Link, Map<number, Claim>>();
  /** Claims of clients that are about to connect: by link and slot, the port. */
  private readonly coming = new Map<Link, Map<number, number>>();
  /** Taken at once from clients that ended: what they wrote is still there. */
  private readonly legacies = new Map<string, Connection>();
  private readonly waiting = new Map<string, Waiting>();

  offer(port: number): () => void {
    this.rendezvous.offer(port);
    return () => this.rendezvous.release(port);
  }

  private adopt(link: Link): void {
    counters.links++;
    this.bySlot.set(link, new Map());
    this.coming.set(link, new Map());
    link.onClaim = (slot) => this.note(link, slot);
    link.onEnd = () => {
      counters.links--;
      this.rendezvous.links.delete(link);
      for (const claim of this.bySlot.get(link)!.values()) this.inherit(claim);
      this.bySlot.delete(link);
      this.coming.delete(link);
      this.reconsider();
    };
  }

  private inherit({ link, slot, state, key }: Claim): void {
    this.claims.delete(key);
    const connection = Connection.accept(link, slot, state);
    if (connection === undefined) return;
    this.legacies.set(key, connection);
    setTimeout(() => {
      if (this.legacies.delete(key)) connection.close(true);
    }, LEGACY).unref();
  }

  /** A slot without a connection has news. */
  private note(link: Link, slot: number): void {
    const known = this.bySlot.get(link)?.get(slot);
    if (known !== undefined) {
      this.bySlot.get(link)!.delete(slot);
      if (this.claims.get(known.key) === known) this.claims.delete(known.key);
    }
    const coming = this.coming.get(link);
    coming?.delete(slot);
    const { words } = link.peerMemory;
    const word = slotWord(slot);
    const state = link.peerState(slot);
    const stage = state & STATE_MASK;
    if (stage === State.connecting) coming?.set(slot, words[word + Slot.ports]! & 0xffff);
    if (stage !== State.claimed) {
      if (stage !== State.connecting) this.reconsider();
      return;
    }
    const local = [...words.subarray(word + Slot.local, word + Slot.local + 4)];
    const remote = [...words.subarray(word + Slot.remote, word + Slot.remote + 4)];
    const key = connectionKey(local, remote, words[word + Slot.ports]!);
    // Given up meanwhile, so that these were another connection's; news of that are on their way.
    if (link.peerState(slot) !== state) return;
    const claim = { link, slot, state, key };
    const waiting = this.waiting.get(key);
    if (waiting !== undefined) {
      this.settle(waiting, Connection.accept(link, slot, state));
      return;
    }
    this.claims.set(claim.key, claim);
    this.bySlot.get(link)?.set(slot, claim);
  }

  /**
   * Looks for the claim of an accepted connection.
   *
   * @param found called with it, or with the reason why there is none: at once, where no claim can be
   * just about to come
   */
  find(client: TcpHandle, found: (connection: Connection | 'noClaim' | 'otherHost') => void): void {
    const theirs = nameOf((out: SocketName) => client.getpeername(out));
    if (theirs !== undefined && !isOnThisHost(theirs.address)) {
      found('otherHost');
      return;
    }
    for (const link of this.rendezvous.links) link.poll();
    // Most often nothing is claimed, and what it would be claimed by costs more than to know that.
    const ours = this.isAnyClaimed
      ? nameOf((out: SocketName) => client.getsockname(out))
      : undefined;
    if (theirs === undefined || ours === undefined) {
      found('noClaim');
      return;
    }
    const ports = portWord(theirs.port, ours.port);
    const key = connectionKey(addressWords(theirs.address), addressWords(ours.address), ports);
    const connection = this.take(key);
    if (connection === undefined && this.isComing(ours.port)) {
      this.wait(key, ours.port, (late) => found(late ?? 'noClaim'));
    } else found(connection ?? 'noClaim');
  }

  private get isAnyClaimed(): boolean {
    if (this.claims.size > 0 || this.legacies.size > 0) return true;
    for (const slots of this.coming.values()) if (slots.size > 0) return true;
    return false;
  }

  private take(key: string): Connection | undefined {
    const legacy = this.legacies.get(key);
    if (legacy !== undefined) {
      this.legacies.delete(key);
      return legacy;
    }
    const claim = this.claims.get(key);
    if (claim === undefined) return undefined;
    const { link, slot, state } = claim;
    this.claims.delete(key);
    this.bySlot.get(link)?.delete(slot);
    return Connection.accept(link, slot, state);
  }

  /** The client may be waiting for this processor: it is not looked out for, but rings. */
  private wait(key: string, port: number, found: Waiting['found']): void {
    const giveUp = () => {
      // It may have claimed while this process had no processor, so that nobody heard it ring.
      for (const link of this.rendezvous.links) link.poll();
      this.settle(waiting, this.take(key));
    };
    const timer = setTimeout(giveUp, PATIENCE);
    const waiting: Waiting = { key, port, found, timer };
    this.waiting.set(key, waiting);
    for (const link of this.rendezvous.links) {
      link.expectClaims(true);
      // It may have claimed before it could see that.
      link.poll();
    }
  }

  private settle(waiting: Waiting, connection: Connection | undefined): void {
    if (this.waiting.get(waiting.key) !== waiting) return;
    this.waiting.delete(waiting.key);
    clearTimeout(waiting.timer);
    if (this.waiting.size === 0) {
      for (const link of this.rendezvous.links) link.expectClaims(false);
    }
    waiting.found(connection);
  }

  /** Claims that were coming come no more. */
  private reconsider(): void {
    for (const waiting of this.waiting.values()) {
      const connection = this.take(waiting.key);
      if (connection !== undefined || !this.isComing(waiting.port)) {
        this.settle(waiting, connection);
      }
    }
  }

  private isComing(port: number): boolean {
    for (const [link, slots] of this.coming) {
      for (const [slot, wanted] of slots) {
        if (wanted !== port) continue;
        if ((link.peerState(slot) & STATE_MASK) <= State.claimed) return true;
        slots.delete(slot);
      }
    }
    return false;
  }
}

const acceptor = new Acceptor();

/** Has a server that listens take connections over shared memory, too. */
export function offerSmc(server: HandledServer): void {
  const handle = server._handle as ListenHandle | null;
  const address = server.address();
  if (handle === null || typeof address !== 'object' || address === null) return;
  if (!('port' in address) || address.port === 0) return;
  const accept = handle.onconnection;
  const { pauseOnConnect } = server as unknown as { pauseOnConnect?: boolean };
  if (pauseOnConnect) return;
  const problem = whyNoMemory();
  const release = problem === undefined ? acceptor.offer(address.port) : () => {};
  const close = handle.close;
  handle.close = (...args) => {
    release();
    return close.apply(handle, args);
  };
  handle.onconnection = (error, client) => {
    if (error || client === undefined) accept.call(handle, error, client);
    else if (problem !== undefined) take(handle, accept, client, problem);
    else acceptor.find(client, (found) => take(handle, accept, client, found));
  };
}

function take(
  handle: ListenHandle,
  accept: OnConnection,
  client: TcpHandle,
  found: Connection | FallbackName,
): void {
  // The server may have been closed meanwhile; the kernel has accepted for it.
  if (ownerOf(handle) === undefined) {
    if (found instanceof Connection) found.close(true);
    client.close();
    return;
  }
  if (!(found instanceof Connection)) {
    onOwner(client, handle, (socket) => {
      if (isByKernel(handle, client)) setKernelState(socket, client, 'server');
      else setTcp(socket, 'server', found);
    });
    accept.call(handle, 0, client);
    return;
  }
  const { pid, thread } = found.link.peer;
  counters.open++;
  const events = {
    onLive() {},
    onTcp() {},
    onMoved() {
      counters.open--;
      setTcp(ownerOf(taken), 'server', 'passed');
    },
    onClose: () => counters.open--,
  };
  const taken = smcHandle(client, [found], events);
  onOwner(taken, handle, (socket) => {
    setState(socket, { transport: 'smc-d', role: 'server', peer: { pid, thread } });
  });
  accept.call(handle, 0, taken as unknown as TcpHandle);
}
