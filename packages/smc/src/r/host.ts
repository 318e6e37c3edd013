import { addAbortListener, once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import { tcpSocket } from '@anole/host/native';
import { SmcREndpoint, type SmcROptions } from './endpoint.ts';
import { Reason } from './offer.ts';
import { type Outcome, tcpOutcome } from './outcome.ts';
import { TcpOption } from './tcp-option.ts';

export interface SmcRHostOptions extends SmcROptions {
  /** Directory in cgroup2 that this process is below. Default: its own. */
  readonly cgroup?: string;
}

/** The handle below a socket, as far as it is used here. */
interface Handle {
  readonly fd: number;
}

/**
 * An address of this host whose connections use SMC-R where the other end can, and TCP elsewhere: both
 * say so in the handshake of TCP.
 *
 * Needs CAP_BPF and CAP_NET_ADMIN, cgroup2, and UDP port 4791.
 *
 * @example
 * await using host = await SmcRHost.open({ address: '10.0.0.1', eids: ['LIZARDS'] });
 * const { socket, transport } = await host.connect(7000, '10.0.0.2');
 * socket.end('hello');
 */
export class SmcRHost implements AsyncDisposable {
  readonly endpoint: SmcREndpoint;
  readonly #option: TcpOption;

  /** @throws SmcError `SMC_NO_ROCE`; HostError `HOST_NO_NATIVE`, `HOST_NOT_PERMITTED` */
  static async open(options: SmcRHostOptions): Promise<SmcRHost> {
    const option = new TcpOption(options.cgroup);
    try {
      return new SmcRHost(await SmcREndpoint.open(options), option);
    } catch (error) {
      option[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(endpoint: SmcREndpoint, option: TcpOption) {
    this.endpoint = endpoint;
    this.#option = option;
  }

  /**
   * @param address IPv4, dotted
   * @throws as `net.connect` fails; SmcError where neither SMC nor TCP is left; the signal's reason
   */
  async connect(
    port: number,
    address: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Outcome> {
    signal?.throwIfAborted();
    const fd = tcpSocket(address);
    const tcp = new Socket({ fd, manualStart: true } as ConstructorParameters<typeof Socket>[0]);
    this.#option.offer(fd);
    using _stopping = signal && addAbortListener(signal, () => tcp.destroy());
    try {
      tcp.connect({ port, host: address, localAddress: this.endpoint.identity.address });
      await once(tcp, 'connect', signal ? { signal } : {});
      if (!this.#option.isAgreed(fd)) return notSmc(tcp);
      return await this.endpoint.connectOver(tcp);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }

  /**
   * A server at this host's address. `onConnection` gets each connection when it is clear what its bytes go
   * over; one that breaks off before is none.
   *
   * @returns a server that listens soon; it is closed by the caller
   */
  listen(port: number, onConnection: (outcome: Outcome) => void): Server {
    const { address } = this.endpoint.identity;
    const fd = tcpSocket(address, port);
    this.#option.offer(fd);
    const server = createServer({ allowHalfOpen: true }, (tcp) => {
      const { fd: own } = (tcp as unknown as { _handle: Handle })._handle;
      if (!this.#option.isAgreed(own)) onConnection(notSmc(tcp));
      else this.endpoint.acceptOver(tcp).then(onConnection, () => {});
    });
    return server.listen({ fd });
  }

  async close(): Promise<void> {
    this.#option[Symbol.dispose]();
    await this.endpoint.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const notSmc = (tcp: Socket): Outcome => tcpOutcome(tcp, Reason.notSmc);
