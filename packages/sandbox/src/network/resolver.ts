import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { connect, isIPv6 } from 'node:net';
import { parseIpv4, readQuestion, writeAddresses } from '@anole/net';

const patience = 3000; // ms, of one server
const rounds = 2;
const defaultPort = 53;
const TRUNCATED = 0x02; // in the upper byte of the flags
const NAME_ERROR = 3;
const TYPE_A = 1;
/** Seconds that an answer of the host's own files is good for. */
const fileTtl = 30;

interface Server {
  readonly address: string;
  readonly port: number;
}

/**
 * Asks name servers, with an identifier and a port by chance for each query. Names that they do not know
 * are looked for where the host's programs look, too: its own files.
 *
 * @param servers `ADDRESS` or `ADDRESS:PORT`; default: the host's
 */
export class Resolver {
  readonly #servers: readonly string[];
  readonly #isOwn: boolean;

  constructor(servers: readonly string[] = []) {
    this.#servers = servers;
    this.#isOwn = servers.length > 0;
  }

  /** @throws Error where nobody answers */
  async query(message: Uint8Array): Promise<Uint8Array> {
    const question = readQuestion(message);
    const asked = Uint8Array.from(message);
    const id = randomInt(0x1_0000);
    asked.set([id >> 8, id & 255]);
    const response = await this.#ask(asked).catch(() => undefined);
    const known = response !== undefined && (response[3]! & 15) !== NAME_ERROR;
    if (!known && !this.#isOwn && question.type === TYPE_A) {
      const found = await lookup(question.name, { family: 4, all: true }).catch(() => []);
      const addresses = found.map(({ address }) => ({
        address: parseIpv4(address)!,
        ttl: fileTtl,
      }));
      if (addresses.length > 0) return writeAddresses(message, addresses);
    }
    if (response === undefined) throw new Error('no name server answers');
    response.set(message.subarray(0, 2));
    return response;
  }

  async #ask(message: Uint8Array): Promise<Uint8Array> {
    const servers = (this.#isOwn ? this.#servers : getServers()).map(parseServer);
    let failure: unknown = new Error('there is no name server');
    for (let round = 0; round < rounds; round++) {
      for (const server of servers) {
        try {
          const response = await askDatagram(server, message);
          return response[2]! & TRUNCATED ? await askStream(server, message) : response;
        } catch (error) {
          failure = error;
        }
      }
    }
    throw failure;
  }
}

function askDatagram({ address, port }: Server, message: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  const timer = setTimeout(() => reject(new Error(`${address} does not answer`)), patience);
  socket.on('error', reject);
  socket.on('message', (bytes) => {
    if (isAnswer(bytes, message)) resolve(Uint8Array.from(bytes));
  });
  // Connected: the system drops what others send.
  socket.connect(port, address, (error?: Error) => {
    if (error) reject(error);
    else socket.send(message);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

function askStream({ address, port }: Server, message: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = connect({ host: address, port, timeout: patience });
  let received = Buffer.alloc(0);
  socket.on('connect', () => {
    socket.write(Uint8Array.of(message.length >> 8, message.length & 255));
    socket.write(message);
  });
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes]);
    const length = received.length < 2 ? Number.POSITIVE_INFINITY : received.readUInt16BE() + 2;
    if (received.length < length) return;
    const answer = Uint8Array.from(received.subarray(2, length));
    if (isAnswer(answer, message)) resolve(answer);
    else reject(new Error(`${address} answers another question`));
  });
  socket.on('timeout', () => reject(new Error(`${address} does not answer`)));
  socket.on('error', reject);
  socket.on('end', () => reject(new Error(`${address} hung up`)));
  return promise.finally(() => socket.destroy());
}

function isAnswer(bytes: Uint8Array, query: Uint8Array): boolean {
  return bytes.length >= 12 && bytes[0] === query[0] && bytes[1] === query[1];
}

/** `1.1.1.1`, `1.1.1.1:53`, `::1`, `[::1]:53`. */
function parseServer(text: string): Server {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  return { address, port: port === undefined ? defaultPort : Number(port) };
}
