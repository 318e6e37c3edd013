import type { Ipv4 } from './address.ts';

/** Where a connection or datagram goes: always an address, never a name, so that nothing is resolved twice. */
export interface Endpoint {
  readonly address: Ipv4;
  readonly port: number;
}

/** Why a connection could not be made. */
export type ConnectFailure = 'refused' | 'unreachable';

/** What a stream tells the stack. Calls come from the event loop, never from inside a call to the stream. */
export interface StreamEvents {
  connected(): void;
  /** It was never connected; nothing else follows. */
  failed(reason: ConnectFailure): void;
  /** The bytes are the stack's. */
  data(bytes: Uint8Array): void;
  /** The other side will send no more. */
  ended(): void;
  /** Less waits than before. */
  drained(): void;
  /** The connection was lost: nothing else follows. */
  reset(): void;
}

/** A TCP connection of the host. */
export interface OutsideStream {
  /**
   * Queues bytes.
   *
   * @returns whether it keeps their memory; else the caller may use it again
   */
  write(bytes: Uint8Array): boolean;
  /** Bytes queued that the system has not taken. */
  readonly waiting: number;
  /** Sends the end behind what waits. */
  end(): void;
  /** Stops or starts `data` and `ended`. */
  pause(): void;
  resume(): void;
  /** Closes at once; `abort` tells the other side that something went wrong. No event follows. */
  close(abort: boolean): void;
}

export interface DatagramEvents {
  message(from: Endpoint, bytes: Uint8Array): void;
  /** The socket is of no use any more. */
  failed(): void;
}

/** A UDP socket of the host, with a port of its own. */
export interface OutsideDatagrams {
  /** Sends or drops; the bytes are the socket's from then on. */
  send(to: Endpoint, bytes: Uint8Array): void;
  close(): void;
}

/** What the stack needs of the world: sockets of the host, or what stands for them. */
export interface Outside {
  connect(to: Endpoint, events: StreamEvents): OutsideStream;
  datagrams(events: DatagramEvents): OutsideDatagrams;
  /** Sends a DNS query to the host's name servers; rejects where none answers. */
  query(message: Uint8Array): Promise<Uint8Array>;
  /** Whether an address is one of the host's own. */
  isOwn(address: Ipv4): boolean;
}
