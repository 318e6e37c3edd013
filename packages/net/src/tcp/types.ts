import type { Endpoint } from '../outside.ts';
import type { Connection } from './connection.ts';
import type { SynOptions } from './segment.ts';

/** What a connection asks of the layer it belongs to. */
export interface ConnectionLayer {
  /** Sends a segment to the guest; false where the guest has no room, and {@link Connection.flush} follows. */
  transmit(connection: Connection, segment: Outgoing): boolean;
  /** Largest data of one segment, either way: what a packet of the network holds. */
  readonly mss: number;
  /** Largest data of one segment that stands for several of `mss` bytes. */
  largest(mss: number): number;
  /** Bytes that one connection may hold in each direction now. */
  bufferLimit(): number;
  now(): number;
  /**
   * {@link Connection.flush} is to be called: at the end of this turn, or, where it is `urgent`, when the
   * guest's frames of the moment are received.
   */
  dirty(connection: Connection, urgent?: boolean): void;
  /** {@link Connection.deadline} is earlier than before. */
  armed(connection: Connection): void;
  removed(connection: Connection): void;
  /** The other end of a connection of the guest's could not be reached. @param sequence of its SYN */
  unreachable(connection: Connection, sequence: number): void;
}

/** A segment for the guest. */
export interface Outgoing {
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  readonly options?: SynOptions;
  readonly data: readonly Uint8Array[];
  readonly mss: number;
}

/** The guest's end, and what it takes for the other end. */
export interface Ends {
  readonly guestPort: number;
  readonly remote: Endpoint;
}

/** What is needed to end a connection by someone who did not have it. */
export interface ConnectionRecord extends Ends {
  readonly sequence: number;
  readonly acknowledgment: number;
}
