/**
 * Both ends of what `smc.bench.ts` measures, each in a process of its own: `server KIND [PATH]` and
 * `client KIND PORT|PATH`. They are ordinary programs that know nothing of shared memory.
 */
import http from 'node:http';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';

/** What a client found out; `cpu` is its own, in seconds. */
export type Figures = Readonly<Record<string, number>>;

const small = Buffer.alloc(64, 1);
const large = Buffer.alloc(65536, 2);
const mega = 1e6;

const servers: Readonly<Record<string, () => net.Server>> = {
  echo: () => net.createServer((socket) => socket.setNoDelay().on('data', (b) => socket.write(b))),
  sink: () =>
    net.createServer((socket) => {
      let count = 0;
      socket.on('data', (bytes) => {
        count += bytes.length;
      });
      socket.on('end', () => socket.end(String(count)));
    }),
  source: () => net.createServer((socket) => void pour(socket)),
  silent: () => net.createServer((socket) => socket.on('data', () => {})),
  http: () => http.createServer((_, response) => response.end('hello, world')),
  redis: () => net.createServer(serveRedis),
};

/** Enough that compiling what has just begun is not most of it. */
const poured = 40_000;

async function pour(socket: net.Socket): Promise<void> {
  for (let sent = 0; sent < poured; sent++) {
    if (!socket.write(large)) await new Promise((resolve) => socket.once('drain', resolve));
  }
  socket.end();
}

/** GET, SET and what clients say first, of the Redis protocol. */
function serveRedis(socket: net.Socket): void {
  const values = new Map<string, string>();
  let text = '';
  socket.setNoDelay().on('data', (bytes) => {
    text += bytes.toString('latin1');
    let answers = '';
    for (let command = takeCommand(); command !== undefined; command = takeCommand()) {
      const [name = '', key = '', value = ''] = command;
      if (name === 'GET') answers += bulk(values.get(key) ?? '');
      else {
        if (name === 'SET') values.set(key, value);
        answers += name === 'HELLO' ? '*0\r\n' : '+OK\r\n';
      }
    }
    if (answers !== '') socket.write(answers, 'latin1');
  });
  const bulk = (value: string) => `$${value.length}\r\n${value}\r\n`;
  const takeCommand = (): string[] | undefined => {
    const parts = /^\*(\d+)\r\n/.exec(text);
    if (parts === null) return undefined;
    let at = parts[0].length;
    const words: string[] = [];
    for (let count = Number(parts[1]); count > 0; count--) {
      const end = text.indexOf('\r\n', at);
      const length = Number(text.slice(at + 1, end));
      if (end < 0 || text.length < end + length + 4) return undefined;
      words.push(text.slice(end + 2, end + 2 + length));
      at = end + length + 4;
    }
    text = text.slice(at);
    return words;
  };
}

type Target = { readonly port: number; readonly host: string } | { readonly path: string };

async function connected(target: Target): Promise<net.Socket> {
  const socket = net.connect(target);
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket.setNoDelay();
}

const percentile = (times: Float64Array, part: number) => times[Math.floor(times.length * part)]!;

/** Round trips of 64 bytes, with a pause between them or without. */
async function roundTrips(target: Target, count: number, pause: number): Promise<Figures> {
  const socket = await connected(target);
  const times = new Float64Array(count);
  for (let at = -Math.min(count, 2000); at < count; at++) {
    const begun = performance.now();
    socket.write(small);
    await new Promise((resolve) => socket.once('data', resolve));
    if (at >= 0) times[at] = (performance.now() - begun) * 1000;
    if (pause > 0) await sleep(pause);
  }
  socket.destroy();
  times.sort();
  return { median: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

/** MB/s of what `pour` sent. */
function rateOf(count: number, begun: number): Figures {
  if (count !== poured * large.length) throw new Error(`${count} bytes arrived`);
  return { rate: count / mega / ((performance.now() - begun) / 1000) };
}

const clients: Readonly<Record<string, (target: Target) => Promise<Figures>>> = {
  pings: (target) => roundTrips(target, 20_000, 0),
  seldom: (target) => roundTrips(target, 1500, 1),
  async stream(target) {
    const socket = await connected(target);
    const begun = performance.now();
    void pour(socket);
    const [count] = await socket.toArray();
    return rateOf(Number(count), begun);
  },
  async fixed(target) {
    let count = 0;
    const callback = (bytes: number) => {
      count += bytes;
      return true;
    };
    const begun = performance.now();
    const socket = net.connect({ ...target, onread: { buffer: Buffer.alloc(65536), callback } });
    await new Promise((resolve) => socket.once('close', resolve));
    return rateOf(count, begun);
  },
  async http(target) {
    const question = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const sockets = await Promise.all(Array.from({ length: 64 }, () => connected(target)));
    let answers = 0;
    for (const socket of sockets) {
      socket.on('data', (bytes) => {
        if (!bytes.toString('latin1').endsWith('hello, world')) return;
        answers++;
        socket.write(question, 'latin1');
      });
      socket.write(question, 'latin1');
    }
    await sleep(500);
    const [before, begun] = [answers, performance.now()];
    await sleep(3000);
    const rate = (answers - before) / ((performance.now() - begun) / 1000);
    for (const socket of sockets) socket.destroy();
    return { rate };
  },
  async redis(target) {
    const client = createClient({ socket: target as { port: number; host: string } });
    await client.connect();
    await client.set('key', 'value');
    let [done, begun] = [0, 0];
    const ask = async (until: number) => {
      while (performance.now() < until) {
        await client.get('key');
        done++;
      }
    };
    await ask(performance.now() + 500);
    [done, begun] = [0, performance.now()];
    await ask(performance.now() + 3000);
    const rate = done / ((performance.now() - begun) / 1000);
    client.destroy();
    return { rate };
  },
  async setup(target) {
    const count = 4000;
    let begun = 0;
    for (let at = -2000; at < count; at++) {
      if (at === 0) begun = performance.now();
      const socket = await connected(target);
      socket.end();
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    return { time: ((performance.now() - begun) * 1000) / count };
  },
  async memory(target) {
    const before = process.memoryUsage.rss();
    const sockets: net.Socket[] = [];
    for (let at = 0; at < 10_000; at++) {
      const socket = await connected(target);
      socket.on('data', () => {});
      socket.write(small);
      sockets.push(socket);
    }
    await sleep(500);
    return { each: (process.memoryUsage.rss() - before) / 1024 / sockets.length };
  },
};

const [role, kind = '', given = ''] = process.argv.slice(2);
const where = given.replace('@', '\0');
if (role === 'server') {
  const server = servers[kind]!();
  const ready = () => process.send?.((server.address() as net.AddressInfo).port ?? 0);
  if (where === '') server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, ready);
  else server.listen(where, ready);
  process.on('message', () => process.send?.({ rss: process.memoryUsage.rss(), ...cpuOf() }));
  process.on('disconnect', () => process.exit());
} else if (role === 'client') {
  const target = /^\d+$/.test(where) ? { port: Number(where), host: '127.0.0.1' } : { path: where };
  const before = cpuOf().cpu;
  const figures = await clients[kind]!(target);
  process.send?.({ ...figures, cpu: cpuOf().cpu - before });
  await new Promise((resolve) => process.once('message', resolve));
  process.exit();
}

function cpuOf(): { readonly cpu: number } {
  const { user, system } = process.cpuUsage();
  return { cpu: (user + system) / mega };
}
