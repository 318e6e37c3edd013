import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { hasNative, tcpSocket } from '@anole/host/native';
import { type Outcome, SmcRHost } from '@anole/smc/r';
import { TcpOption } from '../src/r/tcp-option.ts';

const skip = whyNot();

function whyNot(): string | false {
  if (!hasNative()) return 'koffi is not installed for this platform';
  try {
    new TcpOption()[Symbol.dispose]();
    return false;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'HOST_NOT_PERMITTED') return 'needs CAP_BPF and CAP_NET_ADMIN';
    if (code === 'SMC_NO_ROCE') return 'cgroup2 is not mounted';
    throw error;
  }
}

/** Addresses of this host that no other test has. */
const address = () => `127.${randomInt(1, 255)}.${randomInt(255)}.${randomInt(1, 255)}`;
const hosts: SmcRHost[] = [];
after(() => Promise.all(hosts.map((each) => each.close())));

async function host(): Promise<SmcRHost> {
  hosts.push(await SmcRHost.open({ address: address(), eids: ['LIZARDS'] }));
  return hosts.at(-1)!;
}

/** A server that sends back what comes, and tells what each connection goes over. */
async function echo(server: SmcRHost) {
  const outcomes: Outcome['transport'][] = [];
  const listener = server.listen(0, ({ transport, socket }) => {
    outcomes.push(transport);
    socket.on('data', (data: Buffer) => socket.write(data)).on('end', () => socket.end());
  });
  await once(listener, 'listening');
  return { outcomes, listener, port: (listener.address() as AddressInfo).port };
}

async function said(socket: Outcome['socket'], text: string): Promise<string> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  socket.end(text);
  await once(socket, 'end');
  return Buffer.concat(pieces).toString();
}

test('ends that both offer SMC use it, over UDP; others get TCP from the first byte on', {
  skip,
}, async () => {
  const [near, far] = [await host(), await host()];
  const { outcomes, listener, port } = await echo(far);
  const { address } = far.endpoint.identity;
  const { transport, socket } = await near.connect(port, address);
  assert.equal(transport, 'smc-r');
  const long = 'long '.repeat(100_000);
  assert.equal(await said(socket, long), long);
  assert.equal(await said(net.connect(port, address), 'plain'), 'plain');
  assert.deepEqual(outcomes, ['smc-r', 'tcp']);
  listener.close();
});

test('a server that does not offer it gets what the program writes, and nothing else', {
  skip,
}, async () => {
  const near = await host();
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const outcome = await near.connect(port, '127.0.0.1');
  assert.ok(outcome.transport === 'tcp');
  assert.equal(outcome.reason.code, 0x03010000);
  assert.equal(await said(outcome.socket, 'plain'), 'plain');
  server.close();
});

test('a server that says nothing is waited for no longer than the signal', { skip }, async () => {
  const near = await host();
  using option = new TcpOption();
  const fd = tcpSocket('127.0.0.1', 0);
  option.offer(fd);
  const server = net.createServer((socket) => socket.resume()).listen({ fd });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const signal = AbortSignal.timeout(100);
  for (let tries = 0; tries < 2; tries++) {
    const refused = near.connect(port, '127.0.0.1', { signal });
    await assert.rejects(refused, { name: 'TimeoutError' });
  }
  server.close();
});

test('a port that is taken is told of', { skip }, async () => {
  const { address } = (await host()).endpoint.identity;
  await assert.rejects(SmcRHost.open({ address, eids: ['LIZARDS'] }), { code: 'SMC_NO_ROCE' });
  await assert.rejects(SmcRHost.open({ address: '203.0.113.77', eids: ['LIZARDS'] }), {
    code: 'SMC_NO_ROCE',
  });
  await assert.rejects(SmcRHost.open({ address, eids: ['lizards'] }), { code: 'SMC_NO_ROCE' });
});
