import { createServer, type Server } from 'node:net';
import { connectUnix } from '@anole/host/native';
import { type HandledServer, internals, type PipeHandle } from '../socket/internals.ts';
import { shakeHands } from './handshake.ts';
import type { Link } from './link.ts';

/** Processes that may serve one port (a cluster's workers), beyond which clients look no further. */
const MOST_SERVERS = 64;
/** Names in a row that nobody has, after which none follow. */
const GAP = 2;
const SERVER_PATIENCE = 1000;
/** How long a client of a port waits for its first link, and how often it looks for more servers. */
const CLIENT_PATIENCE = 1000;
const RESCAN = 1000;

/**
 * Abstract names belong to a network namespace, as ports do. The user is in them so that users do
 * not take each other's.
 */
function nameOf(port: number, index: number): string {
  return `\0anole-smc/1/${process.getuid!()}/${port}/${index}`;
}

/** Where clients find this thread: a Unix socket for each port that it serves. */
export class Rendezvous {
  readonly links = new Set<Link>();
  private readonly ports = new Map<number, { users: number; server: Server | undefined }>();
  private readonly onLink: (link: Link) => void;

  constructor(onLink: (link: Link) => void) {
    this.onLink = onLink;
  }

  /** Each call needs a `release`. */
  offer(port: number): void {
    const known = this.ports.get(port);
    if (known !== undefined) known.users++;
    else {
      const entry = { users: 1, server: undefined };
      this.ports.set(port, entry);
      this.listen(entry, port, 0);
    }
  }

  private listen(
    entry: { users: number; server: Server | undefined },
    port: number,
    index: number,
  ) {
    if (index === MOST_SERVERS || entry.users === 0) return;
    const server = createServer() as HandledServer;
    entry.server = server;
    server.once('error', () => this.listen(entry, port, index + 1));
    // Not shared by the workers of a cluster: each has its own.
    server.listen({ path: nameOf(port, index), exclusive: true, backlog: 4095 });
    server.unref();
    const handle = server._handle as { onconnection?: (error: number, pipe: PipeHandle) => void };
    if (handle === null) return;
    handle.onconnection = (error, pipe) => {
      if (error === 0 || error === undefined) void this.welcome(pipe);
    };
  }

  private async welcome(pipe: PipeHandle): Promise<void> {
    try {
      const link = await shakeHands('server', pipe, SERVER_PATIENCE, () => false);
      if (link === undefined) return;
      this.links.add(link);
      this.onLink(link);
    } catch {
      // Whoever came is nobody to share memory with; TCP is open to it.
    }
  }

  release(port: number): void {
    const known = this.ports.get(port);
    if (known === undefined || --known.users > 0) return;
    this.ports.delete(port);
    known.server?.close();
  }
}

/** Why there is no link to a port. */
export type NoLink = 'noPeer' | 'otherUser' | 'late' | 'badPeer';

interface KnownPort {
  /** By the index in the server's name. */
  readonly links: Map<number, Link>;
  scannedAt: number;
  /** While the first links are made. */
  making: Promise<readonly Link[] | NoLink> | undefined;
}

/** A client's links, by endpoint and by port. */
export class Directory {
  readonly links = new Map<string, Link>();
  private readonly ports = new Map<number, KnownPort>();

  /** Links to the processes that serve a port, at once where they are known. */
  find(port: number): readonly Link[] | NoLink | Promise<readonly Link[] | NoLink> {
    const known = this.ports.get(port);
    const open = known === undefined ? [] : openLinks(known);
    if (open.length > 0 && Date.now() - known!.scannedAt < RESCAN) return open;
    if (open.length === 0 && known?.making !== undefined) return known.making;
    const fresh: KnownPort = known ?? { links: new Map(), scannedAt: 0, making: undefined };
    const made = this.scan(port, fresh);
    if (open.length > 0) return open;
    if (made.length === 0) {
      this.ports.delete(port);
      return 'noPeer';
    }
    this.ports.set(port, fresh);
    fresh.making = this.outcome(made, fresh).finally(() => {
      fresh.making = undefined;
    });
    return fresh.making;
  }

  /** Looks for servers anew at the next connection. */
  doubt(port: number): void {
    const known = this.ports.get(port);
    if (known !== undefined) known.scannedAt = 0;
  }

  private async outcome(
    made: readonly Promise<NoLink | undefined>[],
    known: KnownPort,
  ): Promise<readonly Link[] | NoLink> {
    const problems = await Promise.all(made);
    const open = openLinks(known);
    return open.length > 0 ? open : (problems.find((each) => each !== undefined) ?? 'noPeer');
  }

  private scan(port: number, known: KnownPort): Promise<NoLink | undefined>[] {
    known.scannedAt = Date.now();
    const made: Promise<NoLink | undefined>[] = [];
    for (let index = 0, gap = 0; index < MOST_SERVERS && gap < GAP; index++) {
      if (known.links.get(index)?.isOpen) continue;
      const fd = tryConnect(nameOf(port, index));
      if (fd === undefined) gap++;
      else {
        gap = 0;
        made.push(this.meet(fd, index, known));
      }
    }
    return made;
  }

  private async meet(fd: number, index: number, known: KnownPort): Promise<NoLink | undefined> {
    const { pipe } = internals();
    const handle = new pipe.Pipe(pipe.constants.SOCKET);
    handle.open(fd);
    try {
      let same: string | undefined;
      const link = await shakeHands('client', handle, CLIENT_PATIENCE, (id) => {
        same = id;
        return this.links.get(id)?.isOpen ?? false;
      });
      const used = link ?? this.links.get(same!)!;
      known.links.set(index, used);
      if (link === undefined) return undefined;
      this.links.set(link.peer.endpoint, link);
      link.onEnd = () => this.links.delete(link.peer.endpoint);
      return undefined;
    } catch (error) {
      if (!(error instanceof Error) || !('details' in error)) return 'badPeer';
      if (/another user/.test(error.message)) return 'otherUser';
      return (error.details as { late?: boolean }).late ? 'late' : 'badPeer';
    }
  }
}

function openLinks(known: KnownPort): readonly Link[] {
  const all = [...known.links.values()].filter(({ isOpen }) => isOpen);
  return all.length < 2 ? all : [...new Set(all)];
}

/** A server that has more callers than it can queue is like none. */
function tryConnect(name: string): number | undefined {
  try {
    return connectUnix(name);
  } catch {
    return undefined;
  }
}
