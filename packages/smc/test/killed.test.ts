import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket as PlainSocket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  addSeals,
  closeDescriptor,
  hasNative,
  memoryFile,
  Seal,
  sendDescriptors,
} from '@anole/host/native';
import net, { type Socket, smcState } from '@anole/smc/net';
import { FILE_BYTES } from '../src/shm/layout.ts';
import { clientSteps, greeting, rendezvousOf, serverSteps } from './mortal-peer.ts';

// Short connections are what most tests make.
process.env['ANOLE_SMC_POLICY'] = join(import.meta.dirname, 'always.json');
const skip = hasNative() ? false : 'koffi is not installed for this platform';
const register = join(import.meta.dirname, '../src/register.ts');
const mortal = join(import.meta.dirname, 'mortal-peer.ts');
const flags = ['-C', 'anole-source'];
let echo: ChildProcess;
let port = 0;

before(async () => {
  if (skip) return;
  const execArgv = [...flags, '--import', register];
  echo = fork(join(import.meta.dirname, 'peer.ts'), ['echo'], { execArgv });
  [{ port }] = (await once(echo, 'message')) as [{ port: number }];
});
after(() => echo?.disconnect());

async function said(socket: Socket): Promise<string> {
  return Buffer.concat((await socket.toArray()) as Buffer[]).toString();
}

async function assertServed(): Promise<void> {
  const socket = net.connect(port, '127.0.0.1');
  socket.end('still there');
  assert.equal(await said(socket), 'still there');
  assert.equal(smcState(socket)?.transport, 'smc-d');
}

/** Descriptors that a process has, and memory of links that it has mapped. */
function holds(pid: number): { descriptors: number; memories: number } {
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    memories: readFileSync(`/proc/${pid}/maps`, 'utf8').split('memfd:anole-smc').length - 1,
  };
}

/** What links need that are gone is given back, in the end. */
async function assertGivenBack(pid: number, most: ReturnType<typeof holds>): Promise<void> {
  const isBack = () => {
    const { descriptors, memories } = holds(pid);
    return descriptors <= most.descriptors && memories <= most.memories;
  };
  for (let look = 0; look < 600 && !isBack(); look++) await sleep(50);
  assert.ok(isBack(), JSON.stringify([holds(pid), most]));
}

test('clients that are killed at any step leave nothing behind, and harm nobody', {
  skip,
}, async () => {
  await assertServed();
  const before = holds(echo.pid!);
  for (const step of clientSteps) {
    const client = fork(mortal, ['client', step, String(port)], { execArgv: flags });
    assert.deepEqual(await once(client, 'exit'), [null, 'SIGKILL'], step);
    await assertServed();
  }
  await assertGivenBack(echo.pid!, before);
});

test('a client of a server that is killed at any step hears of it', { skip }, async () => {
  await assertServed();
  const before = holds(process.pid);
  for (const step of serverSteps) {
    const server = fork(mortal, ['server', step], { execArgv: flags });
    const exit = once(server, 'exit');
    const [{ port: mortalPort }] = (await once(server, 'message')) as [{ port: number }];
    const socket = net.connect(mortalPort, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume().write('for nobody');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    assert.deepEqual(await exit, [null, 'SIGKILL'], step);
    await closed;
    await assertServed();
  }
  await assertGivenBack(process.pid, before);
});

/** A memory file, sealed or not. */
function memory(size: number, seals: number): number {
  const fd = memoryFile('hostile', size);
  addSeals(fd, seals);
  return fd;
}

/** What somebody may say who only seems to share memory. */
const greetings: Readonly<Record<string, (fd: number) => void>> = {
  nothing() {},
  rubbish: (fd) => void sendDescriptors(fd, Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), []),
  'no memory': (fd) => void sendDescriptors(fd, greeting(), []),
  'another version': (fd) => giveMemory(fd, greeting(1), memory(FILE_BYTES, 3 << 1)),
  'a socket for memory': (fd) => void sendDescriptors(fd, greeting(), [fd]),
  'memory that can be truncated': (fd) => giveMemory(fd, greeting(), memory(FILE_BYTES, Seal.grow)),
  'memory that is too short': (fd) => giveMemory(fd, greeting(), memory(4096, 3 << 1)),
  'memory with nothing in it': (fd) => giveMemory(fd, greeting(), memory(FILE_BYTES, 3 << 1)),
};

function giveMemory(fd: number, hello: Buffer, memoryFd: number): void {
  sendDescriptors(fd, hello, [memoryFd]);
  closeDescriptor(memoryFd);
}

test('a server that says something wrong, or nothing, is talked to over TCP', {
  skip,
}, async (t) => {
  const before = holds(process.pid);
  for (const [name, greet] of Object.entries(greetings)) {
    const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = (server.address() as AddressInfo).port;
    const callers: PlainSocket[] = [];
    const rendezvous = createServer({ pauseOnConnect: true }, (caller) => {
      callers.push(caller);
      greet((caller as unknown as { _handle: { fd: number } })._handle.fd);
    });
    t.after(() => rendezvous.close());
    rendezvous.listen(rendezvousOf(at));
    await once(rendezvous, 'listening');
    const socket = net.connect(at, '127.0.0.1');
    socket.end('over TCP');
    assert.equal(await said(socket), 'over TCP', name);
    assert.equal(smcState(socket)?.reason?.name, name === 'nothing' ? 'late' : 'badPeer', name);
    for (const each of callers) each.destroy();
    server.close();
    rendezvous.close();
  }
  await assertGivenBack(process.pid, before);
});
