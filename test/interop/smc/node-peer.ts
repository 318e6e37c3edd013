// The program in the guest: it does what it is asked for over a connection, a line of JSON for each command.
//   node --import .../register.ts node-peer.ts ADDRESS PORT
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { askNetlink } from '@anole/host/native';
import { type ReportedConnection, smcReports } from '@anole/smc';
import type { SmcState } from '../../../packages/smc/src/socket/state.ts';
import { type Ask, addEid, addSoftRoce } from './netlink.ts';

export type Command =
  /** Serves whoever connects: all comes back. */
  | { readonly do: 'listen'; readonly address?: string }
  /** Connects, and sends back what comes. */
  | { readonly do: 'connect'; readonly port: number }
  /** State of the next connection that is accepted. */
  | { readonly do: 'accepted' }
  /** What `anole smc ss` lists. */
  | { readonly do: 'report' };

export interface Answer {
  readonly port?: number;
  readonly state?: SmcState | undefined;
  readonly connections?: readonly ReportedConnection[];
  readonly error?: string;
}

const ask: Ask = async (protocol, type, body) =>
  Buffer.from(askNetlink({ protocol, type, body })[0] ?? []);

function echo(socket: Socket): void {
  socket.on('error', () => {});
  socket.pipe(socket);
}

const states: (SmcState | undefined)[] = [];
let waiting: (() => void) | undefined;

async function answerTo(command: Command, peer: string): Promise<Answer> {
  switch (command.do) {
    case 'listen': {
      const server = net.createServer((socket) => {
        states.push(socket.smc);
        waiting?.();
        echo(socket);
      });
      server.listen(0, command.address);
      await once(server, 'listening');
      return { port: (server.address() as AddressInfo).port };
    }
    case 'connect': {
      const socket = net.connect(command.port, peer);
      await once(socket, 'connect');
      echo(socket);
      return { state: socket.smc };
    }
    case 'accepted':
      while (states.length === 0) await new Promise<void>((resolve) => (waiting = resolve));
      return { state: states.shift() };
    case 'report': {
      const reports = await smcReports();
      return { connections: reports.flatMap(({ connections }) => connections) };
    }
  }
}

const [address = '', port] = process.argv.slice(2);
if (port !== undefined) {
  await addSoftRoce(ask, 'rxe0', 'eth0');
  await addEid(ask, 'LIZARDS');
  const control = net.connect(Number(port), address);
  for await (const line of createInterface({ input: control })) {
    const answer = await answerTo(JSON.parse(line) as Command, address).catch((error: Error) => ({
      error: String(error),
    }));
    control.write(`${JSON.stringify(answer)}\n`);
  }
}
