/**
 * Either end of what `anole smc bench` measures, in a process of its own: an ordinary program, which knows
 * nothing of shared memory. `server [PATH]` tells the addresses that it listens on, `client` measures what it
 * is asked for.
 */
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type Kind = 'roundTrips' | 'stream' | 'requests';

/** What a client is asked: `at` is a port of this host, or the path of a Unix socket. */
export interface Question {
  readonly kind: Kind;
  readonly at: number | string;
  readonly milliseconds: number;
}

export interface Answer {
  /** Microseconds, or bytes or requests for each second. */
  readonly value: number;
  /** Of round trips: what one of a hundred takes longer than. */
  readonly p99?: number;
  /** As `socket.smc` says, where the preload is. */
  readonly state?: net.Socket['smc'];
}

/** Where a server is asked for each kind. */
export type Addresses = Readonly<Record<Kind, number | string>>;

const small = Buffer.alloc(64, 1);
const large = Buffer.alloc(65536, 2);
const CONNECTIONS = 16;
/** Part of the time that goes before, and does not count. */
const WARM = 0.5;

const servers: Readonly<Record<Kind, () => net.Server>> = {
  roundTrips: () =>
    net.createServer((socket) => {
      socket.setNoDelay().on('error', () => {});
      socket.on('data', (bytes) => socket.write(bytes));
    }),
  stream: () =>
    net.createServer((socket) => {
      const pour = () => {
        while (!socket.destroyed && socket.write(large));
      };
      socket.on('drain', pour).on('error', () => {});
      pour();
    }),
  requests: () => http.createServer((_, response) => response.end('hello, world')),
};

async function connected(at: number | string, options: object = {}): Promise<net.Socket> {
  const target = typeof at === 'number' ? { port: at, host: '127.0.0.1' } : { path: at };
  const socket = net.connect({ ...target, ...options });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket.setNoDelay();
}

const measures: Readonly<Record<Kind, (question: Question) => Promise<Answer>>> = {
  async roundTrips({ at, milliseconds }) {
    const socket = await connected(at);
    const times: number[] = [];
    const begun = performance.now();
    for (let now = begun; now < begun + milliseconds * (1 + WARM); ) {
      const asked = performance.now();
      socket.write(small);
      await new Promise((resolve) => socket.once('data', resolve));
      now = performance.now();
      if (now > begun + milliseconds * WARM) times.push((now - asked) * 1000);
    }
    const { smc: state } = socket;
    socket.destroy();
    times.sort((a, b) => a - b);
    const part = (share: number) => times[Math.floor(times.length * share)]!;
    return { value: part(0.5), p99: part(0.99), ...(state && { state }) };
  },
  async stream({ at, milliseconds }) {
    let count = 0;
    const callback = (bytes: number) => {
      count += bytes;
      return true;
    };
    const socket = await connected(at, { onread: { buffer: Buffer.alloc(65536), callback } });
    const value = await rate(() => count, milliseconds);
    socket.destroy();
    return { value };
  },
  async requests({ at, milliseconds }) {
    const question = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => connected(at)));
    let answers = 0;
    for (const socket of sockets) {
      socket.on('data', (bytes) => {
        if (!bytes.toString('latin1').endsWith('hello, world')) return;
        answers++;
        socket.write(question, 'latin1');
      });
      socket.write(question, 'latin1');
    }
    const value = await rate(() => answers, milliseconds);
    for (const socket of sockets) socket.destroy();
    return { value };
  },
};

async function rate(count: () => number, milliseconds: number): Promise<number> {
  await sleep(milliseconds * WARM);
  const [before, begun] = [count(), performance.now()];
  await sleep(milliseconds);
  // On a busy computer nobody may have had a processor in such a time: that is no rate yet.
  for (let more = 0; count() === before && more < 100; more++) await sleep(milliseconds);
  return (count() - before) / ((performance.now() - begun) / 1000);
}

async function serve(path: string | undefined): Promise<Addresses> {
  const listening = Object.entries(servers).map(async ([kind, make]) => {
    const server = make();
    await new Promise<void>((resolve) => {
      if (path === undefined) server.listen(0, '127.0.0.1', resolve);
      else server.listen(`${path}-${kind}`, resolve);
    });
    const address = server.address() as AddressInfo | string;
    return [kind, typeof address === 'string' ? address : address.port] as const;
  });
  return Object.fromEntries(await Promise.all(listening)) as Record<Kind, number | string>;
}

process.on('disconnect', () => process.exit());
const [role, path] = process.argv.slice(2);
if (role === 'server') process.send?.(await serve(path));
else {
  process.on('message', (question: Question) => {
    void measures[question.kind](question).then((answer) => process.send?.(answer));
  });
}
