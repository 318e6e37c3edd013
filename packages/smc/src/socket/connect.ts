import { SmcError } from '../errors.ts';
import { Connection } from '../shm/connection.ts';
import type { Link } from '../shm/link.ts';
import { Directory, type NoLink } from '../shm/rendezvous.ts';
import { addressWords, isOnThisHost, nameOf, portWord } from './address.ts';
import { type SmcHandle, smcHandle } from './handle.ts';
import {
  bufferOf,
  type ConnectMethod,
  type ConnectRequest,
  type HandledSocket,
  internals,
  isTakenOver,
  ownerOf,
  type SocketName,
  setOwner,
  type TcpHandle,
} from './internals.ts';
import { openKernelSocket, setKernelState } from './kernel.ts';
import { whyNoMemory } from './memory.ts';
import { currentPolicy, type Mode, modeFor, processName } from './policy.ts';
import { type FallbackName, fallback } from './reasons.ts';
import { counters, setState, setTcp } from './state.ts';
import { hookTls, isBelowTls, putTlsUpon } from './tls.ts';
import { worth } from './worth.ts';

/** Milliseconds that a server has for taking a connection over shared memory. */
const PATIENCE = 3000;
const SWEEP = 250;
/** Reasons with which the kernel's own SMC may still do, where the policy wants it. */
const beyondMemory: ReadonlySet<FallbackName> = new Set(['otherHost', 'noPeer', 'otherUser']);

const directory = new Directory();
let wanted: (socket: HandledSocket) => boolean = () => false;
let isHooked = false;

/**
 * Has sockets that `isWanted` says connect over shared memory where the server offers it. Called
 * again it adds to whom it applies.
 */
export function hookConnect(isWanted: (socket: HandledSocket) => boolean): void {
  const before = wanted;
  wanted = (socket) => before(socket) || isWanted(socket);
  if (isHooked) return;
  isHooked = true;
  hookTls();
  const { prototype } = internals().tcp.TCP;
  for (const name of ['connect', 'connect6'] as const) {
    const original = prototype[name];
    const version = name === 'connect' ? 'ipv4' : 'ipv6';
    prototype[name] = function connect(request, address, port) {
      return new Attempt(original, this, request, { address, port, version }).begin();
    };
  }
}

interface Server {
  readonly address: string;
  readonly port: number;
  readonly version: 'ipv4' | 'ipv6';
}

/** One connection of a client. */
class Attempt {
  private readonly original: ConnectMethod;
  private readonly handle: TcpHandle;
  private readonly request: ConnectRequest;
  private readonly address: string;
  private readonly port: number;
  private readonly version: Server['version'];
  private readonly socket: HandledSocket | undefined;
  private mode: Mode = 'prefer';
  private mayAskKernel = false;

  constructor(
    original: ConnectMethod,
    handle: TcpHandle,
    request: ConnectRequest,
    { address, port, version }: Server,
  ) {
    this.original = original;
    this.handle = handle;
    this.request = request;
    this.address = address;
    this.port = port;
    this.version = version;
    this.socket = ownerOf(handle);
  }

  /** @returns 0 or an error of libuv, as a TCP handle's `connect` */
  begin(): number {
    const { socket, port } = this;
    if (socket === undefined || !this.isPending || !wanted(socket)) return this.connectTcp();
    const policy = currentPolicy();
    this.mode = modeFor(policy, { address: this.address, port, process: processName() });
    if (this.mode === 'off') return this.stayOnTcp('off');
    this.mayAskKernel = policy.kernel === true && !policy.dryRun;
    if (!isOnThisHost(this.address)) return this.stayOnTcp('otherHost');
    const problem = whyNoMemory();
    if (problem !== undefined) return this.stayOnTcp(problem);
    const found = directory.find(port);
    if (typeof found === 'string') return this.stayOnTcp(found);
    if (policy.dryRun) return this.stayOnTcp('dryRun');
    if (!(found instanceof Promise)) return this.claim(found);
    void found.then((links) => this.resume(links));
    return 0;
  }

  /** Whether the socket has its handle still: it may have been closed meanwhile. */
  private get isPending(): boolean {
    return this.socket?._handle === this.handle || this.isTls;
  }

  private get isTls(): boolean {
    return this.socket !== undefined && isBelowTls(this.handle, this.socket);
  }

  /** Whether TLS was put upon the socket below JavaScript, by whoever has it. */
  private get isTaken(): boolean {
    return isTakenOver(this.isTls ? (this.socket!._handle as object) : this.handle);
  }

  /** The first links to the port are there, or there are none. */
  private resume(links: readonly Link[] | NoLink): void {
    if (!this.isPending) return;
    const error = typeof links === 'string' ? this.stayOnTcp(links) : this.claim(links);
    const { request } = this;
    if (error !== 0) request.oncomplete?.(error, this.handle, request, false, false);
  }

  private stayOnTcp(name: FallbackName): number {
    if (this.mayAskKernel && beyondMemory.has(name)) {
      if (openKernelSocket(this.handle, this.version)) return this.connectByKernel();
      if (name === 'otherHost') return this.stayOnTcp('noKernel');
    }
    return this.note(name) ? this.connectTcp() : 0;
  }

  /** Notes why it goes over TCP; says whether the policy lets it. */
  private note(name: FallbackName): boolean {
    setTcp(this.socket, 'client', name);
    if (this.mode === 'require') process.nextTick(() => this.refuse(name));
    return this.mode !== 'require';
  }

  /** The handle has a socket of SMC now, of which nobody knows what it becomes until it is connected. */
  private connectByKernel(): number {
    const { request, handle, socket } = this;
    setState(socket, { transport: 'pending', role: 'client' });
    const complete = request.oncomplete;
    request.oncomplete = (status, ...rest) => {
      const isTcp = status === 0 && setKernelState(socket, handle, 'client') === 'tcp';
      if (isTcp && this.mode === 'require') this.refuse('kernel');
      complete?.call(request, status, ...rest);
    };
    return this.connectTcp();
  }

  /** The policy does not want it over TCP. */
  private refuse(name: FallbackName): void {
    const { code, reason, hint } = fallback(name);
    const message = `Cannot connect to port ${this.port} over shared memory: ${reason}`;
    const options = { details: { name, code }, ...(hint !== undefined && { hint }) };
    this.socket?.destroy(new SmcError('SMC_REQUIRED', message, options));
  }

  private connectTcp(): number {
    return this.original.call(this.handle, this.request, this.address, this.port);
  }

  private claim(links: readonly Link[]): number {
    const { request, handle, port } = this;
    if (this.mode === 'prefer' && !worth.isLikely(port)) return this.stayOnTcp('short');
    const claims = links.flatMap((link) => Connection.claim(link, port) ?? []);
    if (claims.length === 0) return this.stayOnTcp('full');
    const complete = request.oncomplete;
    const claimed = new Claimed(claims);
    request.oncomplete = (status, raw, same, readable, writable) => {
      const mayExchange = status === 0 && claimed.isOpen && this.isPending && !this.isTaken;
      const now = mayExchange ? this.exchange(claimed) : raw;
      if (now === raw) claimed.giveUp();
      if (now === raw && status === 0 && this.isPending) this.note(this.isTaken ? 'tls' : 'late');
      complete?.call(request, status, now, same, readable, writable);
    };
    const error = this.connectTcp();
    const local = error === 0 ? nameOf((out: SocketName) => handle.getsockname(out)) : undefined;
    const remote = error === 0 ? this.remoteAddress(local?.address) : '';
    if (local === undefined) {
      claimed.giveUp();
      if (error !== 0) request.oncomplete = complete!;
      return error;
    }
    const words = [addressWords(local.address), addressWords(remote)] as const;
    // Whoever asked for the socket may put TLS upon it before doing anything else.
    process.nextTick(() => {
      if (this.isTaken) {
        claimed.giveUp();
        return;
      }
      if (!claimed.isOpen) return;
      for (const each of claims) each.publishClaim(...words, portWord(local.port, port));
    });
    return 0;
  }

  /** Connecting to "any address" connects to the one that it comes from. */
  private remoteAddress(local = ''): string {
    const [first, second, third, last] = addressWords(this.address) as [
      number,
      number,
      number,
      number,
    ];
    const isAny = first === 0 && second === 0 && last === 0 && (third === 0 || third === 0xffff);
    return isAny ? local : this.address;
  }

  /** Puts the handle of shared memory in the place of the TCP one. */
  private exchange(claimed: Claimed): SmcHandle {
    const socket = this.socket!;
    const { onread } = this.handle;
    setState(socket, { transport: 'pending', role: 'client' });
    const made = smcHandle(this.handle, claimed.connections, {
      onLive: () => {
        claimed.settle();
        counters.open++;
        const { pid, thread } = made.transport.stream.connection!.link.peer;
        setState(socket, { transport: 'smc-d', role: 'client', peer: { pid, thread } });
      },
      onTcp: () => {
        claimed.settle();
        directory.doubt(this.port);
        setTcp(socket, 'client', 'declined');
        if (this.mode === 'require') this.refuse('declined');
      },
      onMoved: () => {
        counters.open--;
        setTcp(socket, 'client', 'passed');
      },
      onClose: () => {
        claimed.settle();
        const { stream } = made.transport;
        if (!stream.isDecided) return;
        counters.open--;
        worth.learn(this.port, stream);
      },
    });
    claimed.handle = made;
    setOwner(made, socket, this.handle);
    if (this.isTls) putTlsUpon(made, socket);
    else {
      made.onread = onread;
      socket._handle = made;
      const buffer = bufferOf(socket);
      if (buffer !== undefined) made.useUserBuffer(buffer);
    }
    // The server may have been faster, and have told when nobody here wanted to hear of it.
    made.transport.stream.lookAgain();
    return made;
  }
}

/** Claims that no server has taken yet, which are given up after a while. */
class Claimed {
  private static readonly open = new Set<Claimed>();
  private static timer: NodeJS.Timeout | undefined;

  readonly connections: readonly Connection[];
  handle: SmcHandle | undefined;
  private readonly deadline = Date.now() + PATIENCE;

  constructor(connections: readonly Connection[]) {
    this.connections = connections;
    Claimed.open.add(this);
    Claimed.timer ??= setInterval(Claimed.sweep, SWEEP).unref();
  }

  get isOpen(): boolean {
    return Claimed.open.has(this);
  }

  settle(): void {
    Claimed.open.delete(this);
  }

  giveUp(): void {
    this.settle();
    for (const each of this.connections) each.leave();
  }

  private static sweep(): void {
    const now = Date.now();
    for (const each of Claimed.open) {
      // The server may have taken it without a word.
      each.handle?.transport.stream.lookAgain();
      if (each.deadline > now || !each.isOpen) continue;
      if (each.handle === undefined) each.giveUp();
      else each.handle.transport.giveUp();
      each.settle();
    }
    if (Claimed.open.size > 0) return;
    clearInterval(Claimed.timer);
    Claimed.timer = undefined;
  }
}
