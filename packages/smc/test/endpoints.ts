import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Outcome, SmcROptions } from '@anole/smc/r';
import { SmcREndpoint } from '../src/r/endpoint.ts';
import { makeIdentity } from '../src/r/identity.ts';
import type { RocePort } from '../src/roce/port.ts';

/** A piece of wire for one end. */
class MemoryPort implements RocePort {
  readonly address: string;
  other: MemoryPort | undefined;
  onPacket: (packet: Uint8Array, from: string) => void = () => {};
  /** Sees, changes and multiplies what is sent. */
  filter: (packet: Uint8Array) => readonly Uint8Array[] = (packet) => [packet];

  constructor(address: string) {
    this.address = address;
  }

  send(packet: Uint8Array, to: string): void {
    if (to !== this.other?.address) return;
    for (const each of this.filter(packet.slice())) {
      setImmediate(() => this.other!.onPacket(each, this.address));
    }
  }

  async close(): Promise<void> {
    this.onPacket = () => {};
  }
}

/** Two endpoints with a wire between them, and a TCP server at the far one. */
export class Hosts implements AsyncDisposable {
  readonly near: SmcREndpoint;
  readonly far: SmcREndpoint;
  readonly nearPort = new MemoryPort('10.0.0.1');
  readonly farPort = new MemoryPort('10.0.0.2');
  readonly #server = net.createServer((socket) => this.#accepted.set(socket.remotePort!, socket));
  readonly #listening: Promise<unknown>;
  readonly #accepted = new Map<number, Socket>();

  constructor(near: Partial<SmcROptions> = {}, far: Partial<SmcROptions> = {}) {
    this.nearPort.other = this.farPort;
    this.farPort.other = this.nearPort;
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const make = (port: MemoryPort, options: Partial<SmcROptions>) =>
      new SmcREndpoint(port, makeIdentity(port.address, mac, 1500), {
        address: port.address,
        eids: ['LIZARDS'],
        ringSize: 16384,
        // Their TCP goes over loopback.
        allowOtherAddress: true,
        ...options,
      });
    this.near = make(this.nearPort, near);
    this.far = make(this.farPort, far);
    this.#server.setMaxListeners(100);
    this.#listening = once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  /** Both ends of a new TCP connection. */
  async tcp(): Promise<[Socket, Socket]> {
    await this.#listening;
    const { port } = this.#server.address() as AddressInfo;
    const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(client, 'connect');
    const own = client.localPort!;
    const server =
      this.#accepted.get(own) ??
      (await new Promise<Socket>((resolve) => {
        this.#server.on('connection', (socket) => socket.remotePort === own && resolve(socket));
      }));
    this.#accepted.delete(own);
    return [client, server];
  }

  /** Both ends of a new connection that tried SMC. */
  async connect(): Promise<[Outcome, Outcome]> {
    const [client, server] = await this.tcp();
    return Promise.all([this.near.connectOver(client), this.far.acceptOver(server)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.near.close(), this.far.close()]);
    this.#server.close();
  }
}
