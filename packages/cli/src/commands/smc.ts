import { Command } from 'commander';
import { act } from '../frame.ts';
import { decodeAction } from '../smc/decode.ts';

/** `anole smc`: Shared Memory Communications. */
export function smcCommand(): Command {
  return new Command('smc')
    .description('explain Shared Memory Communications (SMC)')
    .addCommand(decodeCommand());
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
