// Goes as far as it is told in making a connection over shared memory, and kills itself there:
// `client STEP PORT` or `server STEP`. It is no user of the sockets, but goes step by step below them.
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connectUnix, receiveDescriptors, sendDescriptors } from '@anole/host/native';
import { Connection } from '../src/shm/connection.ts';
import { shakeHands } from '../src/shm/handshake.ts';
import { MAGIC, STATE_MASK, State, VERSION } from '../src/shm/layout.ts';
import type { Link } from '../src/shm/link.ts';
import { LinkMemory } from '../src/shm/memory.ts';
import { addressWords, portWord } from '../src/socket/address.ts';
import { type HandledServer, internals, type PipeHandle } from '../src/socket/internals.ts';

const host = '127.0.0.1';

/** Where a server of that port is found. */
export const rendezvousOf = (port: number) => `\0anole-smc/1/${process.getuid!()}/${port}/0`;

/** What each side says first, beside its memory. */
export function greeting(version = VERSION): Buffer {
  const hello = Buffer.alloc(64, 1);
  hello.writeUInt32LE(MAGIC, 0);
  hello.writeUInt32LE(version, 4);
  return hello;
}

export const clientSteps = [
  'called',
  'half greeted',
  'greeted',
  'linked',
  'claiming',
  'connected',
  'claimed',
  'live',
  'written',
  'finished',
] as const;

export const serverSteps = [
  'called',
  'half greeted',
  'greeted',
  'linked',
  'claimed',
  'live',
  'read',
] as const;

type Step = (typeof clientSteps)[number] | (typeof serverSteps)[number];

const [role, last, port] = process.argv.slice(2);

function reach(step: Step): void {
  if (step === last) process.kill(process.pid, 'SIGKILL');
}

function pipeOf(fd: number): PipeHandle {
  const { pipe } = internals();
  const handle = new pipe.Pipe(pipe.constants.SOCKET);
  handle.open(fd);
  return handle;
}

function greet(fd: number): void {
  if (last === 'half greeted') sendDescriptors(fd, greeting().subarray(0, 10), []);
  reach('half greeted');
  sendDescriptors(fd, greeting(), [LinkMemory.create().fd]);
  reach('greeted');
}

async function beClient(to: number): Promise<void> {
  const call = () => connectUnix(rendezvousOf(to))!;
  const fd = call();
  reach('called');
  if (last === 'half greeted' || last === 'greeted') greet(fd);
  const link = (await shakeHands('client', pipeOf(call()), 10_000, () => false))!;
  reach('linked');
  const connection = Connection.claim(link, to)!;
  reach('claiming');
  const socket = net.connect(to, host);
  await once(socket, 'connect');
  reach('connected');
  const local = addressWords(host);
  connection.publishClaim(local, local, portWord(socket.localPort!, to));
  reach('claimed');
  while (!connection.isLive) {
    await nextTurn();
    connection.refresh();
  }
  reach('live');
  connection.writer.write(Buffer.from('last words'), 0);
  connection.publish();
  reach('written');
  connection.finish();
  reach('finished');
}

async function beServer(): Promise<void> {
  const server = net.createServer((socket) => socket.on('error', () => {}));
  server.listen(0, host);
  await once(server, 'listening');
  const { port: own } = server.address() as AddressInfo;
  const rendezvous = net.createServer() as HandledServer;
  rendezvous.listen(rendezvousOf(own));
  await once(rendezvous, 'listening');
  const handle = rendezvous._handle as { onconnection?: (error: number, pipe: PipeHandle) => void };
  handle.onconnection = (_, pipe) => void welcome(pipe);
  process.send?.({ port: own });
}

async function welcome(pipe: PipeHandle): Promise<void> {
  reach('called');
  if (last === 'half greeted' || last === 'greeted') {
    while (receiveDescriptors(pipe.fd, 64) === undefined) await nextTurn();
    greet(pipe.fd);
  }
  const link = (await shakeHands('server', pipe, 10_000, () => false))!;
  link.onClaim = (slot) => void note(link, slot);
  reach('linked');
}

async function note(link: Link, slot: number): Promise<void> {
  const claim = link.peerState(slot);
  if ((claim & STATE_MASK) !== State.claimed) return;
  reach('claimed');
  const connection = Connection.accept(link, slot, claim)!;
  reach('live');
  while (connection.reader.unread === 0) {
    await nextTurn();
    connection.refresh();
  }
  connection.reader.take(1);
  connection.publishTaken();
  reach('read');
}

if (role === 'client') await beClient(Number(port));
else if (role === 'server') await beServer();
