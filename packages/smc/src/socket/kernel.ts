import { fstatSync } from 'node:fs';
import { closeDescriptor, isSmcSocket, smcSocket } from '@anole/host/native';
import { type KernelSocket, kernelSockets } from '../kernel/sockets.ts';
import { type HandledSocket, internals, type TcpHandle } from './internals.ts';
import { whyNoMemory } from './memory.ts';
import { currentPolicy, modeFor, processName } from './policy.ts';
import { fallback } from './reasons.ts';
import { counters, type SmcState, setState } from './state.ts';

/** Milliseconds after which a kernel without sockets of SMC is asked again: its module may have been loaded. */
const ASK_AGAIN = 5000;
/** Milliseconds that what the kernel told of all its sockets holds. */
const FRESH = 50;

/** TCP handles above a socket of SMC. */
const opened = new WeakSet<object>();
let askAt = 0;

/**
 * Whether a connection was accepted by a socket of SMC: a server's of this process or, in a cluster, of the primary,
 * which only shows where SMC was agreed on.
 */
export function isByKernel(server: object, client: TcpHandle): boolean {
  return (
    opened.has(server) ||
    (currentPolicy().kernel === true &&
      client.fd >= 0 &&
      whyNoMemory() === undefined &&
      isSmcSocket(client.fd))
  );
}

/**
 * Gives a TCP handle, before it is bound or connects, a socket of the kernel's own SMC (AF_SMC). The kernel agrees
 * on SMC with the peer, or has it fall back to TCP. See docs/decisions/0171-sockets-of-the-kernel.md.
 *
 * @returns false where the kernel has none, or the handle has a socket already: nothing has changed
 */
export function openKernelSocket(handle: TcpHandle, version: 'ipv4' | 'ipv6'): boolean {
  if (handle.fd >= 0 || Date.now() < askAt || whyNoMemory() !== undefined) return false;
  let fd: number | undefined;
  try {
    fd = smcSocket(version);
  } catch {
    // Not permitted, or no more descriptors: Node's own socket meets that, too, and says so.
  }
  if (fd === undefined) {
    askAt = Date.now() + ASK_AGAIN;
    return false;
  }
  if (handle.open(fd) !== 0) {
    closeDescriptor(fd);
    return false;
  }
  opened.add(handle);
  return true;
}

let isListening = false;
let isHooked = false;

/** Has servers that are begun to listen within `listen` do so on a socket of SMC, where the policy wants it. */
export function listenByKernel(listen: () => void): void {
  hookBind();
  isListening = true;
  try {
    listen();
  } finally {
    isListening = false;
  }
}

function hookBind(): void {
  if (isHooked) return;
  isHooked = true;
  const { prototype } = internals().tcp.TCP;
  for (const name of ['bind', 'bind6'] as const) {
    const original = prototype[name];
    prototype[name] = function bind(address, port, flags) {
      if (isListening && isWanted(address, port)) {
        openKernelSocket(this, name === 'bind' ? 'ipv4' : 'ipv6');
      }
      return original.call(this, address, port, flags);
    };
  }
}

/** @param address that a server listens at */
function isWanted(address: string, port: number): boolean {
  const policy = currentPolicy();
  if (!policy.kernel || policy.dryRun) return false;
  return modeFor(policy, { address, port, process: processName() }) !== 'off';
}

/**
 * Sets the state of a connected socket by what the kernel has made of it.
 *
 * @param handle its own, to which a socket of SMC was given, or that was accepted by one
 */
export function setKernelState(
  socket: HandledSocket | undefined,
  handle: TcpHandle,
  role: SmcState['role'],
): 'af_smc' | 'tcp' {
  const transport = isSmcSocket(handle.fd) ? 'af_smc' : 'tcp';
  const reason = transport === 'tcp' ? { reason: fallback('kernel') } : {};
  if (transport === 'af_smc') counters.kernel++;
  setState(socket, { transport, role, ...reason }, () => detailsOf(handle));
  return transport;
}

/** What the kernel has to say, which it is asked for only where somebody wants to know. */
function detailsOf(handle: TcpHandle): Partial<SmcState> {
  const found = handle.fd < 0 ? undefined : kernelSocketOf(handle.fd);
  if (found === undefined) return {};
  const { mode, reason } = found;
  if (mode !== 'tcp') return { mode };
  return reason === undefined ? {} : { reason: { ...reason, name: 'kernel' } };
}

let known:
  | { readonly until: number; readonly sockets: ReturnType<typeof kernelSockets> }
  | undefined;

function kernelSocketOf(fd: number): KernelSocket | undefined {
  const { ino } = fstatSync(fd, { bigint: true });
  const there = known && known.until > Date.now() ? known.sockets.get(ino) : undefined;
  if (there !== undefined) return there;
  try {
    known = { until: Date.now() + FRESH, sockets: kernelSockets() };
  } catch {
    // It does not tell: smc_diag is not there.
    known = { until: Date.now() + FRESH, sockets: new Map() };
  }
  return known.sockets.get(ino);
}
