import { createServer, type Server, type Socket } from 'node:net';
import { threadId } from 'node:worker_threads';
import { counters, liveSockets, type SmcState } from './state.ts';

/** A connection, as `anole smc ss` lists it. */
export interface ReportedConnection extends SmcState {
  readonly local: string;
  readonly remote: string;
  readonly read: number;
  readonly written: number;
}

/** What a thread tells of itself. */
export interface Report {
  readonly pid: number;
  readonly thread: number;
  readonly program: string;
  readonly counters: typeof counters;
  readonly connections: readonly ReportedConnection[];
}

/** Abstract names of threads that report begin so, with the user behind it. */
export const reportPrefix = (): string => `anole-smc-report/1/${process.getuid!()}/`;

/** Has this thread answer whoever connects with its {@link Report}, as JSON. */
export function offerReport(): void {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.unref();
    socket.end(JSON.stringify(reportOf()));
  });
  server.on('error', () => {});
  server.listen({ path: `\0${reportPrefix()}${process.pid}/${threadId}`, exclusive: true });
  server.unref();
}

function reportOf(): Report {
  const connections = liveSockets().map(([socket, state]) => ({
    ...state,
    local: endOf(socket.localAddress, socket.localPort),
    remote: endOf(socket.remoteAddress, socket.remotePort),
    read: socket.bytesRead,
    written: socket.bytesWritten,
  }));
  const program = process.argv.slice(0, 2).join(' ');
  return { pid: process.pid, thread: threadId, program, counters, connections };
}

function endOf(address: Socket['localAddress'], port: Socket['localPort']): string {
  if (address === undefined) return '-';
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
