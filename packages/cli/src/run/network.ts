import type { NetworkEvent, NetworkOptions, PublishedPort } from '@anole/sandbox';
import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';

export interface NetworkFlags {
  readonly net?: boolean;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly publish?: readonly string[];
  readonly dns?: readonly string[];
  readonly netLog?: boolean;
  readonly pcap?: string;
}

export const networkHelp = `
Without --net, --allow or --publish there is no network. RULE is HOST[:PORTS][/tcp|/udp], where HOST is
a name, *.name for the names below it, an IPv4 address or a range. --net opens the public Internet;
--allow alone opens only what it names. Private addresses and this computer stay closed but to an
--allow for an address or a range; in the guest, host.anole.internal is this computer's 127.0.0.1.`;

export const networkExamples = `  anole run --net -- apt-get update
  anole run --allow '*.debian.org:80,443' --net-log -- apt-get update
  anole run --allow 127.0.0.1:5432 -- psql -h host.anole.internal
  anole run -p 8080:80 os:python -- python3 -m http.server 80`;

export function addNetworkOptions(command: Command): Command {
  return command
    .option('--net', 'a network with the public Internet')
    .option('--allow <rule>', 'a network with what the rule covers', append)
    .option('--deny <rule>', 'keep closed what the rule covers', append)
    .option('-p, --publish <[address:]host:guest>', 'carry a port of this computer to one', append)
    .option('--dns <address[:port]>', "ask this name server instead of this computer's", append)
    .option('--net-log', 'say what the command connects to, and what is closed')
    .option('--pcap <file>', "write the machine's traffic for Wireshark or tcpdump");
}

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** The network that the flags ask for, if any. */
export function networkOf(
  flags: NetworkFlags,
  context: Pick<CommandContext, 'json' | 'err'>,
): NetworkOptions | undefined {
  const { net = false, allow, deny, publish, dns, netLog, pcap } = flags;
  if (!net && allow === undefined && publish === undefined) {
    if (deny ?? dns ?? pcap ?? netLog) {
      throw usageError(
        'Cannot limit or watch a network without --net, --allow or --publish',
        'run',
      );
    }
    return undefined;
  }
  return {
    public: net,
    ...(allow && { allow }),
    ...(deny && { deny }),
    ...(publish && { publish }),
    ...(dns && { dns }),
    ...(pcap !== undefined && { capture: pcap }),
    ...((netLog || pcap !== undefined) && {
      onEvent: (event) => {
        if (netLog || event.type === 'capture') context.err(eventLine(event, context.json));
      },
    }),
  };
}

/** Says which free ports were taken. @param asked as the user gave them */
export function announcePorts(
  ports: readonly PublishedPort[],
  asked: readonly string[] = [],
  context: Pick<CommandContext, 'json' | 'err'>,
): void {
  for (const [at, { host, port, guest }] of ports.entries()) {
    if (!/^(.+:)?0:\d+$/.test(asked[at] ?? '')) continue;
    const line = `anole: port ${guest} is at ${host}:${port}`;
    context.err(context.json ? JSON.stringify({ published: { host, port, guest } }) : line);
  }
}

function eventLine(event: NetworkEvent, json: boolean): string {
  if (json) return JSON.stringify({ network: event });
  if (event.type === 'capture') return `anole: ${event.reason}`;
  const verdict = `${event.allowed ? 'open' : 'closed'}: ${event.reason}`;
  if (event.type === 'lookup') return `anole: net: look up ${event.name}: ${verdict}`;
  const { protocol, address, port, names } = event;
  const known = names.length > 0 ? ` (${names.join(', ')})` : '';
  return `anole: net: ${protocol} ${address}:${port}${known}: ${verdict}`;
}
