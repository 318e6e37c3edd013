import { Command } from 'commander';
import { act } from '../frame.ts';
import { benchAction } from '../smc/bench.ts';
import { decodeAction } from '../smc/decode.ts';
import { infoAction } from '../smc/info.ts';
import { ssAction, statsAction } from '../smc/live.ts';
import { runAction } from '../smc/run.ts';

/** `anole smc`: Shared Memory Communications. */
export function smcCommand(): Command {
  return (
    new Command('smc')
      // Options behind the program's name are the program's.
      .enablePositionalOptions()
      .description('have programs use shared memory (SMC), and explain what they do')
      .addCommand(runCommand())
      .addCommand(ssCommand())
      .addCommand(statsCommand())
      .addCommand(benchCommand())
      .addCommand(decodeCommand())
      .addCommand(infoCommand())
  );
}

function runCommand(): Command {
  return new Command('run')
    .description('run a program of Node, whose sockets use shared memory where both ends can')
    .argument('<command...>', 'the program and its arguments, after --')
    .option(
      '-p, --policy <file>',
      'which connections may, must or must not (JSON; may change later)',
    )
    .passThroughOptions()
    .addHelpText(
      'after',
      `
Both ends are started so, as one user on one host. All else stays TCP, and nothing in the program
changes. "node" is the Node that runs anole; processes that the program starts are included.

Exit code: the program's.

Examples:
  anole smc run -- node server.js
  anole smc run --policy smc.json -- npm start`,
    )
    .action(act(runAction, { owns: 'SIGINT' }));
}

function ssCommand(): Command {
  return new Command('ss')
    .description('list live connections of programs run so: over what they go, and why')
    .addHelpText(
      'after',
      `
Of all processes of this user. The codes are those of the standard. With --json each line is a
connection.

Examples:
  anole smc ss
  anole smc ss --json | jq 'select(.transport == "tcp") | .reason.name'`,
    )
    .action(act(ssAction));
}

function statsCommand(): Command {
  return new Command('stats')
    .description('count connections of programs run so: over shared memory, and over TCP by reason')
    .option('--prometheus', 'all processes together, in the text format of Prometheus')
    .addHelpText(
      'after',
      `
Examples:
  anole smc stats
  anole smc stats --prometheus > /var/lib/node_exporter/anole.prom`,
    )
    .action(act(statsAction));
}

function benchCommand(): Command {
  return new Command('bench')
    .description('measure what shared memory gives on this host, beside TCP and Unix sockets')
    .option('-t, --seconds <number>', 'for each of the three measurements and each way', '1')
    .addHelpText(
      'after',
      `
A server and a client of Node for each way, which are measured in turn: round trips of 64 bytes, a
stream of 64 KiB writes, HTTP requests over 16 connections. The middle of three rounds counts. On a
host that does other things the proportions hold, the figures do not.

Examples:
  anole smc bench
  anole smc bench --seconds 5 --json`,
    )
    .action(act(benchAction));
}

function decodeCommand(): Command {
  return new Command('decode')
    .description('explain what a capture has of SMC: handshakes, messages, and why it was TCP')
    .argument('<capture>', 'a file of tcpdump or Wireshark: pcap or pcapng')
    .option('-a, --all', 'acknowledgements too, and each packet of a long write')
    .option('-s, --summary', 'a line for each connection, and nothing else')
    .addHelpText(
      'after',
      `
Shown are the option in TCP's handshake, CLC messages over TCP, and LLC messages, CDC messages and
writes over RoCE v2 (UDP port 4791), whose checksums are verified. With --json each line is an
object; byte fields are in hexadecimal.

Exit codes: 0 all could be read, 1 something is damaged.

Examples:
  tcpdump -i eth0 -w smc.pcap 'tcp port 7000 or udp port 4791'
  anole smc decode smc.pcap
  anole smc decode smc.pcap --summary
  anole smc decode smc.pcap --json | jq 'select(.layer == "clc").message'`,
    )
    .action(act(decodeAction));
}

function infoCommand(): Command {
  return new Command('info')
    .description('say what of SMC works on this computer, and what is missing')
    .addHelpText(
      'after',
      `
smc: sockets over shared memory, as anole smc run has them. smc-r: RoCE v2 towards other computers, for
programs that import @anole/smc/r. af_smc: sockets of SMC that the kernel has itself. With --json each line
is a finding.

Examples:
  anole smc info`,
    )
    .action(act(infoAction));
}
