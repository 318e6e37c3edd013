import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  type DatagramEvents,
  type Endpoint,
  formatIpv4,
  type Ipv4,
  type Outside,
  type OutsideDatagrams,
  type OutsideStream,
  parseIpv4,
  type StreamEvents,
} from '@anole/net';
import { HostStream } from './host-stream.ts';
import { Resolver } from './resolver.ts';

const connectPatience = 30_000; // ms
/** Addresses of the host are looked at anew after this. */
const ownAddressesAge = 5000; // ms
/** Datagrams that one socket may have under way; more are dropped. */
const maxDatagrams = 64;

/** The network of this computer, through sockets that need no rights. */
export class HostOutside implements Outside {
  readonly #resolver: Resolver;
  #own = new Set<Ipv4>();
  #ownSince = Number.NEGATIVE_INFINITY;

  /** @param dns see `NetworkOptions` */
  constructor(dns: readonly string[]) {
    this.#resolver = new Resolver(dns);
  }

  connect({ address, port }: Endpoint, events: StreamEvents): OutsideStream {
    const socket = connect({ host: formatIpv4(address), port, allowHalfOpen: true });
    const timer = setTimeout(() => socket.destroy(new Error('timed out')), connectPatience);
    socket.once('connect', () => clearTimeout(timer));
    socket.once('close', () => clearTimeout(timer));
    return new HostStream(socket, events);
  }

  datagrams(events: DatagramEvents): OutsideDatagrams {
    const socket = createSocket('udp4');
    let underWay = 0;
    let closed = false;
    socket.on('message', (bytes, from) => {
      const address = parseIpv4(from.address);
      if (address !== undefined) events.message({ address, port: from.port }, bytes);
    });
    socket.on('error', () => events.failed());
    return {
      send({ address, port }, bytes) {
        if (closed || underWay >= maxDatagrams) return;
        underWay++;
        // Whether it arrives nobody knows anyway.
        socket.send(bytes, port, formatIpv4(address), () => {
          underWay--;
        });
      },
      close() {
        if (!closed) socket.close();
        closed = true;
      },
    };
  }

  query(message: Uint8Array): Promise<Uint8Array> {
    return this.#resolver.query(message);
  }

  isOwn(address: Ipv4): boolean {
    const now = performance.now();
    if (now - this.#ownSince > ownAddressesAge) {
      this.#ownSince = now;
      const interfaces = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
      this.#own = new Set(interfaces.map((each) => parseIpv4(each.address) ?? -1));
    }
    return this.#own.has(address);
  }
}
