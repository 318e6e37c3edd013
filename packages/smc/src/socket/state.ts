import { type Channel, channel } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { tryInternals } from './internals.ts';
import { type Fallback, type FallbackName, fallback } from './reasons.ts';

/** What a socket's bytes go over, and why. */
export interface SmcState {
  /**
   * `af_smc`: the kernel's own SMC. `pending`: the server has not said yet; what is written is not lost
   * whichever it is.
   */
  readonly transport: 'smc-d' | 'af_smc' | 'tcp' | 'pending';
  /** Over what the kernel's SMC goes, where it tells. */
  readonly mode?: 'smc-r' | 'smc-d';
  readonly role: 'client' | 'server';
  /** Where the transport is TCP. */
  readonly reason?: Fallback;
  /** Process at the other end, where it is known. */
  readonly peer?: { readonly pid: number; readonly thread: number };
}

/**
 * Told through `diagnostics_channel`, each with `{ socket, state }`: `anole.smc.connected` when a socket's
 * bytes go through shared memory or the kernel's SMC, `anole.smc.fallback` when they go over TCP.
 */
const connected = channel('anole.smc.connected');
const fellBack = channel('anole.smc.fallback');

const states = new WeakMap<object, SmcState>();
/** More of a socket's state, which costs something to find. */
const details = new WeakMap<object, () => Partial<SmcState>>();
/** Sockets that may live, for reports; those that are gone are taken out now and then. */
let seen = new Set<WeakRef<Socket>>();
let nextSweep = 1024;

/** Counted since the process began; `fallbacks` by the name of the reason. */
export const counters = {
  connected: 0,
  accepted: 0,
  open: 0,
  /** Connections by the kernel's SMC, at either end. */
  kernel: 0,
  links: 0,
  fallbacks: {} as Partial<Record<FallbackName, number>>,
};

/** @param more of it, which is looked for once somebody asks */
export function setState(
  socket: object | undefined,
  state: SmcState,
  more?: () => Partial<SmcState>,
): void {
  if (socket === undefined) return;
  if (!states.has(socket)) remember(socket as Socket);
  states.set(socket, state);
  if (more === undefined) details.delete(socket);
  else details.set(socket, more);
  if (state.transport === 'smc-d') {
    if (state.role === 'client') counters.connected++;
    else counters.accepted++;
    publish(connected, socket);
  } else if (state.transport === 'af_smc') publish(connected, socket);
  else if (state.transport === 'tcp') {
    const name = state.reason?.name ?? 'failed';
    counters.fallbacks[name] = (counters.fallbacks[name] ?? 0) + 1;
    publish(fellBack, socket);
  }
}

function publish(told: Channel, socket: object): void {
  if (told.hasSubscribers) told.publish({ socket, state: stateOf(socket) });
}

function remember(socket: Socket): void {
  seen.add(new WeakRef(socket));
  if (seen.size < nextSweep) return;
  seen = new Set([...seen].filter((each) => each.deref()?.destroyed === false));
  nextSweep = Math.max(1024, seen.size * 2);
}

/** Sockets that are open, with what they go over. */
export function liveSockets(): (readonly [socket: Socket, state: SmcState])[] {
  return [...seen].flatMap((each) => {
    const socket = each.deref();
    if (socket === undefined || socket.destroyed) return [];
    return [[socket, stateOf(socket)!] as const];
  });
}

export function setTcp(
  socket: object | undefined,
  role: SmcState['role'],
  name: FallbackName,
): void {
  setState(socket, { transport: 'tcp', role, reason: fallback(name) });
}

/** Undefined for sockets that were never looked at: Unix sockets, those of before. */
export function smcState(socket: Socket): SmcState | undefined {
  return stateOf(socket) ?? (tryInternals() === undefined ? unhooked(socket) : undefined);
}

/** Where nothing can be hooked, all is TCP but for Unix sockets, which have no addresses. */
function unhooked(socket: Socket): SmcState | undefined {
  if (socket.remoteFamily === undefined) return undefined;
  const role = (socket as { server?: unknown }).server ? 'server' : 'client';
  return { transport: 'tcp', role, reason: fallback('noInternals') };
}

function stateOf(socket: object): SmcState | undefined {
  const state = states.get(socket);
  const more = details.get(socket);
  if (state === undefined || more === undefined) return state;
  details.delete(socket);
  const whole = { ...state, ...more() };
  states.set(socket, whole);
  return whole;
}
