import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { hasNative, peerCredentials } from '@anole/host/native';
import type { Handled } from './socket/internals.ts';
import { type Report, reportPrefix } from './socket/report.ts';

export type { Report, ReportedConnection } from './socket/report.ts';

const PATIENCE = 1000;
/** Of one thread's answer. */
const MOST_BYTES = 64 * 1024 * 1024;

/** What all threads of this user's processes tell that have loaded `@anole/smc/register`. */
export async function smcReports(): Promise<readonly Report[]> {
  const prefix = `@${reportPrefix()}`;
  const names = readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .map((line) => line.slice(line.indexOf('@')))
    .filter((name) => name.startsWith(prefix));
  const all = await Promise.all([...new Set(names)].map((name) => ask(`\0${name.slice(1)}`)));
  return all
    .filter((each) => each !== undefined)
    .sort((a, b) => a.pid - b.pid || a.thread - b.thread);
}

/** Undefined where a thread does not answer, or another user has taken the name. */
async function ask(path: string): Promise<Report | undefined> {
  const socket = connect(path);
  socket.once('connect', () => {
    if (!isOwn(socket)) socket.destroy();
  });
  socket.setTimeout(PATIENCE, () => socket.destroy());
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of socket as AsyncIterable<Buffer>) {
      pieces.push(piece);
      size += piece.length;
      if (size > MOST_BYTES) return undefined;
    }
    return JSON.parse(Buffer.concat(pieces).toString()) as Report;
  } catch {
    return undefined;
  }
}

/** Names can be taken by everybody on this host; without native calls the other end remains unknown. */
function isOwn(socket: Socket): boolean {
  const { _handle: handle } = socket as unknown as Handled & { _handle: { readonly fd: number } };
  return !hasNative() || peerCredentials(handle.fd).uid === process.getuid!();
}

/** Counters in the text format of Prometheus, of all threads together. */
export function prometheusText(reports: readonly Report[]): string {
  const sum = (name: 'connected' | 'accepted' | 'open' | 'kernel' | 'links') =>
    reports.reduce((total, { counters }) => total + counters[name], 0);
  const reasons = new Map<string, number>();
  for (const { counters } of reports) {
    for (const [name, count] of Object.entries(counters.fallbacks)) {
      reasons.set(name, (reasons.get(name) ?? 0) + count);
    }
  }
  const metric = (name: string, type: string, help: string, values: readonly string[]) => [
    `# HELP anole_smc_${name} ${help}`,
    `# TYPE anole_smc_${name} ${type}`,
    ...values.map((value) => `anole_smc_${name}${value}`),
  ];
  const made = [`{role="client"} ${sum('connected')}`, `{role="server"} ${sum('accepted')}`];
  const fallbacks = [...reasons].map(([name, count]) => `{reason="${name}"} ${count}`);
  return [
    ...metric('connections_total', 'counter', 'Connections over shared memory.', made),
    ...metric('kernel_connections_total', 'counter', "Connections by the kernel's SMC.", [
      ` ${sum('kernel')}`,
    ]),
    ...metric('fallbacks_total', 'counter', 'Connections over TCP, by reason.', fallbacks),
    ...metric('connections', 'gauge', 'Ends of connections now open.', [` ${sum('open')}`]),
    ...metric('links', 'gauge', 'Links of servers to other threads.', [` ${sum('links')}`]),
    '',
  ].join('\n');
}
