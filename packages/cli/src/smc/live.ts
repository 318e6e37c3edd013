import { prometheusText, type ReportedConnection, smcReports } from '@anole/smc';
import type { CommandContext } from '../context.ts';
import { table } from '../table.ts';

const header = ['PID', 'ROLE', 'LOCAL', 'PEER', 'TRANSPORT', 'READ', 'WRITTEN', 'REASON'];

/** Live connections of all processes that were started with the preload. */
export async function ssAction({ out, json }: CommandContext): Promise<number> {
  const reports = await smcReports();
  const rows = reports.flatMap(({ pid, thread, connections }) =>
    connections.map((each) => ({ pid, thread, ...each })),
  );
  if (json) for (const each of rows) out(JSON.stringify(each));
  else out(table(header, rows.map(rowOf)));
  return 0;
}

function rowOf(each: ReportedConnection & { readonly pid: number; readonly thread: number }) {
  const { pid, thread, role, local, remote, transport, mode, read, written, reason } = each;
  const code = reason === undefined ? '' : `0x${reason.code.toString(16).padStart(8, '0')}`;
  return [
    thread === 0 ? String(pid) : `${pid}/${thread}`,
    role,
    local,
    remote,
    mode === undefined ? transport : `${transport} ${mode}`,
    String(read),
    String(written),
    reason === undefined ? '' : `${code} ${reason.reason}`,
  ];
}

interface StatsFlags {
  readonly prometheus?: boolean;
}

export async function statsAction(
  { out, json }: CommandContext,
  { prometheus }: StatsFlags,
): Promise<number> {
  const reports = await smcReports();
  if (prometheus) {
    out(prometheusText(reports).trimEnd());
    return 0;
  }
  if (json) {
    for (const { connections: _, ...each } of reports) out(JSON.stringify(each));
    return 0;
  }
  const rows = reports.map(({ pid, thread, counters, program }) => {
    const fallbacks = Object.entries(counters.fallbacks).map(([name, count]) => `${name} ${count}`);
    return [
      thread === 0 ? String(pid) : `${pid}/${thread}`,
      ...[counters.open, counters.connected, counters.accepted].map(String),
      fallbacks.join(', '),
      program,
    ];
  });
  out(table(['PID', 'OPEN', 'CONNECTED', 'ACCEPTED', 'OVER TCP', 'PROGRAM'], rows));
  return 0;
}
