import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type NetworkEvent, parseIpv4, readQuestion, writeAddresses } from '@anole/net';
import { Sandbox, type SandboxOptions } from '@anole/sandbox';

const bb = '/run/anole/busybox';
const gateway = '192.0.2.1';

async function sh(sandbox: Sandbox, script: string) {
  const command = await sandbox.exec(['sh', '-c', script]);
  const { exit, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: exit.code, stdout: text(stdout), stderr: text(stderr) };
}

const portOf = (server: { address(): AddressInfo | string | null }) =>
  (server.address() as AddressInfo).port;

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return portOf(server);
}

/** Any bytes, the same each time. */
function someBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = 1; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('without being asked for, there is no network but loopback', async () => {
  await using sandbox = await Sandbox.create('os:base', { terminals: 0 });
  assert.equal((await sh(sandbox, 'ls /sys/class/net')).stdout, 'lo\n');
});

describe('a sandbox with a network', () => {
  let directory: string;
  let capture: string;
  let sandbox: Sandbox;
  const events: NetworkEvent[] = [];
  const open = new Set<{ close(): void }>();
  const names = new Map<string, string>();
  const asked: string[] = [];
  const dns = createSocket('udp4');
  const file = someBytes(3_000_003);
  /** Takes all, then answers with its hash: the client ends its side first. */
  const hashing = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.end(sha256(await readAll(socket)));
  });
  const giving = createServer((socket) => socket.end(file));
  const web = createHttpServer((request, response) =>
    response.end(`you asked for ${request.url}\n`),
  );

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'anole-network-'));
    capture = join(directory, 'traffic.pcap');
    dns.on('message', (query, { port, address }) => {
      const { name } = readQuestion(query);
      asked.push(name);
      const found = names.get(name);
      const records = found === undefined ? [] : [{ address: parseIpv4(found)!, ttl: 60 }];
      dns.send(writeAddresses(query, records), port, address);
    });
    dns.bind(0, '127.0.0.1');
    await once(dns, 'listening');
    open.add(dns);
    for (const server of [hashing, giving, web]) {
      await listen(server as Server);
      open.add(server);
    }
    sandbox = await Sandbox.create('os:base', {
      terminals: 0,
      network: {
        allow: ['127.0.0.1', '*.allowed.example'],
        deny: ['secret.allowed.example'],
        dns: [`127.0.0.1:${portOf(dns)}`],
        publish: ['0:8000', '0:8001'],
        capture,
        onEvent: (event) => events.push(event),
      },
    });
  });
  after(async () => {
    await sandbox?.close();
    for (const each of open) each.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('has an address, a way out and a name server', async () => {
    const { stdout } = await sh(sandbox, `${bb} ip -o a; ${bb} ip r; cat /etc/resolv.conf`);
    assert.match(stdout, /eth0 +inet 192\.0\.2\.10\/24/);
    assert.match(stdout, /default via 192\.0\.2\.1 dev eth0/);
    assert.match(stdout, /nameserver 192\.0\.2\.2/);
    const ping = await sh(sandbox, `${bb} ping -c 2 ${gateway}; ${bb} ping -c 1 192.0.2.2`);
    assert.match(ping.stdout, /2 packets received[\s\S]*1 packets received/);
  });

  test('fetches from a server of this computer that is allowed', async () => {
    const url = `http://${gateway}:${portOf(web)}/page`;
    assert.equal((await sh(sandbox, `${bb} wget -q -O - ${url}`)).stdout, 'you asked for /page\n');
    const named = url.replace(gateway, 'host.anole.internal');
    assert.equal((await sh(sandbox, `${bb} wget -q -O - ${named}`)).code, 0);
  });

  test('takes and gives files unchanged, several at once', async () => {
    const take = `${bb} nc ${gateway} ${portOf(giving)} </dev/null | sha256sum`;
    const script = `(${take} & ${take} & ${take}; wait) | sort -u`;
    assert.equal((await sh(sandbox, script)).stdout, `${sha256(file)}  -\n`);
    const give = `head -c 3000000 /dev/urandom >/tmp/x; sha256sum </tmp/x; ${bb} nc ${gateway} ${portOf(hashing)} </tmp/x`;
    const [here, there] = (await sh(sandbox, give)).stdout.split(/ +-\n/);
    assert.equal(there, here, 'the answer came after the guest had ended its side');
  });

  test('looks up allowed names only, and believes no name that leads inside', async () => {
    names.set('www.allowed.example', '198.51.100.7');
    names.set('rebind.allowed.example', '10.0.0.1');
    asked.length = 0;
    const lookUp = async (name: string) =>
      (await sh(sandbox, `${bb} nslookup -type=a ${name}`)).stdout;
    assert.match(await lookUp('www.allowed.example'), /REFUSED/, 'documentation');
    names.set('www.allowed.example', '93.184.215.14');
    assert.match(await lookUp('www.allowed.example'), /Address: 93\.184\.215\.14/);
    assert.match(await lookUp('rebind.allowed.example'), /REFUSED/);
    assert.match(await lookUp('secret.allowed.example'), /REFUSED/);
    assert.match(await lookUp('tunnel.attacker.example'), /REFUSED/);
    assert.deepEqual(new Set(asked), new Set(['www.allowed.example', 'rebind.allowed.example']));
  });

  test('is told at once of what is closed, and so is who watches', async () => {
    events.length = 0;
    for (const address of ['169.254.169.254', '10.0.0.1', '192.168.1.1', '100.64.0.1', '8.8.8.8']) {
      const { code, stderr } = await sh(sandbox, `${bb} wget -T 20 -q -O - http://${address}/`);
      assert.equal(code, 1);
      assert.match(stderr, /No route to host/, address);
    }
    const { stderr } = await sh(sandbox, `${bb} wget -T 20 -q -O - http://${gateway}:1/`);
    assert.match(stderr, /Connection refused/);
    const told = events.flatMap((event) => (event.type === 'connection' ? [event] : []));
    assert.deepEqual(
      [...new Set(told.map(({ address, allowed }) => `${address} ${allowed}`))],
      [
        '169.254.169.254 false',
        '10.0.0.1 false',
        '192.168.1.1 false',
        '100.64.0.1 false',
        '8.8.8.8 false',
        '127.0.0.1 true',
      ],
    );
    assert.match(told[0]!.reason, /not a public address/);
  });

  test('is reached at its published ports', async () => {
    const [first, second] = sandbox.ports;
    assert.deepEqual([first!.guest, second!.guest, first!.host], [8000, 8001, '127.0.0.1']);
    const server = sh(sandbox, `echo served | ${bb} nc -l -p 8000`);
    await sh(sandbox, `until ${bb} netstat -ltn | grep -q :8000; do ${bb} usleep 50000; done`);
    const socket = connect(first!.port, '127.0.0.1');
    socket.end('request\n');
    assert.equal(String(await readAll(socket)), 'served\n');
    assert.equal((await server).stdout, 'request\n');
    const refused = connect(second!.port, '127.0.0.1');
    const [error] = await once(refused, 'error');
    assert.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET');
  });

  test('stands a flood of connections, and answers afterwards', async () => {
    const flood = `i=0; while [ $i -lt 100 ]; do ${bb} nc -w 1 10.1.1.1 $((i+1)) </dev/null 2>/dev/null & i=$((i+1)); [ $((i%50)) = 0 ] && wait; done; wait`;
    await sh(sandbox, flood);
    const url = `http://${gateway}:${portOf(web)}/after`;
    assert.match((await sh(sandbox, `${bb} wget -q -O - ${url}`)).stdout, /after/);
  });

  test('in copies that it forks goes on, without the connections of before', async () => {
    const held = createServer({ allowHalfOpen: true });
    open.add(held);
    const port = await listen(held);
    const script = `echo up | ${bb} nc ${gateway} ${port}; echo ended | tee /tmp/ended`;
    const client = await sandbox.exec(['sh', '-c', script]);
    const [socket] = (await once(held, 'connection')) as [Socket];
    // Only then the guest knows of the connection: one that is still asking asks in the copy, too.
    await once(socket, 'data');
    await using copy = await sandbox.fork();
    await sh(copy, `until [ -s /tmp/ended ]; do ${bb} usleep 50000; done`);
    assert.equal((await sh(sandbox, 'test -e /tmp/ended')).code, 1);
    const url = `http://${gateway}:${portOf(web)}/copy`;
    assert.match((await sh(copy, `${bb} wget -q -O - ${url}`)).stdout, /copy/);
    assert.notEqual(copy.ports[0]!.port, sandbox.ports[0]!.port);
    socket.end('still here\n');
    assert.equal(new TextDecoder().decode((await client.output()).stdout), 'still here\nended\n');
  });

  test('sends what tshark finds nothing wrong with', (t) => {
    if (spawnSync('tshark', ['--version']).status !== 0) return t.skip('tshark is not installed');
    assert.ok(existsSync(capture));
    const checks = ['ip', 'tcp', 'udp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]);
    const bad = ['ip', 'tcp', 'udp', 'icmp'].map((name) => `${name}.checksum.status == 0`);
    const filter = ['_ws.malformed', ...bad].join(' || ');
    const read = (filter: string) =>
      spawnSync('tshark', ['-r', capture, ...checks, '-Y', filter], { encoding: 'utf8' }).stdout;
    assert.equal(read(filter), '');
    assert.ok(read('tcp').length > 1000, 'there is something to look at');
  });
});

describe('two sandboxes', () => {
  const create = (network: SandboxOptions['network']) =>
    Sandbox.create('os:base', { terminals: 0, ...(network !== undefined && { network }) });

  test('do not meet, and nobody meets this computer unless told so', async () => {
    const server = createServer((socket) => socket.end('host'));
    const port = await listen(server);
    try {
      await using one = await create({ publish: ['0:80'] });
      await using two = await create(true);
      void sh(one, `echo one | ${bb} nc -l -p 80`).catch(() => {});
      const tries = [`${gateway} ${port}`, `${gateway} ${one.ports[0]!.port}`, '192.0.2.10 80'];
      for (const to of tries) {
        const { stdout } = await sh(two, `${bb} nc -w 5 ${to} </dev/null`);
        assert.equal(stdout, '', to);
      }
    } finally {
      server.close();
    }
  });

  test('cannot publish one port', async () => {
    await using one = await create({ publish: ['0:80'] });
    const { port } = one.ports[0]!;
    await assert.rejects(create({ publish: [`${port}:80`] }), { code: 'SANDBOX_BAD_PORT' });
  });

  test('are not made with rules and ports that cannot be understood', async () => {
    await assert.rejects(create({ allow: ['http://x'] }), { code: 'NET_BAD_RULE' });
    await assert.rejects(create({ publish: ['80:'] }), { code: 'NET_BAD_PORT' });
  });
});

test('datagrams of any size go and come', async () => {
  const echo = createSocket('udp4');
  echo.on('message', (bytes, { port, address }) => echo.send(bytes, port, address));
  echo.bind(0, '127.0.0.1');
  await once(echo, 'listening');
  try {
    const program = `
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(30)
for size in 0, 1, 1471, 1472, 1473, 9001, 65507:
    sent = os.urandom(size)
    s.sendto(sent, ('${gateway}', ${portOf(echo)}))
    print(size, s.recvfrom(65536) == (sent, ('${gateway}', ${portOf(echo)})))
s.sendto(b'x', ('10.0.0.1', 9))
s.connect(('10.0.0.1', 9))
s.send(b'x')
try: s.recv(1)
except OSError as error: print(error.strerror)
`;
    const network = { allow: ['127.0.0.1'] };
    await using sandbox = await Sandbox.create('os:python', { terminals: 0, network });
    const command = await sandbox.exec(['python3', '-c', program]);
    const { stdout, stderr } = await command.output();
    const sizes = [0, 1, 1471, 1472, 1473, 9001, 65507].map((size) => `${size} True\n`);
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assert.equal(text(stdout), `${sizes.join('')}No route to host\n`, text(stderr));
  } finally {
    echo.close();
  }
});

test('the command line has a network with rules, a log, published ports and a capture', async () => {
  const server = createHttpServer((_, response) => response.end('hello'));
  const port = await listen(server as Server);
  const anole = join(import.meta.dirname, '../../packages/cli/bin/anole.js');
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [anole, 'run', '-q', ...args]);
    const [stdout, stderr] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
    return { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
  };
  try {
    const get = (to: string) => ['--', bb, 'wget', '-q', '-O', '-', `http://${to}/`];
    const allow = ['--allow', `127.0.0.1:${port}`, '--net-log', '-p', '0:80'];
    const allowed = await run(...allow, ...get(`host.anole.internal:${port}`));
    assert.equal(allowed.stdout, 'hello');
    assert.match(allowed.stderr, /anole: port 80 is at 127\.0\.0\.1:\d+\n/);
    const open = `anole: net: tcp 127.0.0.1:${port}: open: allowed by the rule 127.0.0.1:${port}\n`;
    assert.ok(allowed.stderr.endsWith(open), allowed.stderr);
    const closed = await run('--net', '--net-log', '--json', ...get('169.254.169.254'));
    assert.match(closed.stderr, /"network":\{"type":"connection".*"allowed":false/);
    assert.equal(JSON.parse(closed.stdout).exitCode, 1);
  } finally {
    server.close();
  }
});
