import { type ReadOptions, type Source, viewOf } from '@anole/bytes';
import { type CdcMessage, parseCdc } from '../cdc/message.ts';
import type { ClcMessage } from '../clc/types.ts';
import { CDC_TYPE } from '../layout/cdc.ts';
import { LLC_MAX_BYTES } from '../layout/llc.ts';
import { ICRC_BYTES, Opcode, ROCE_PORT } from '../layout/roce.ts';
import { type LlcMessage, parseLlc } from '../llc/message.ts';
import { icrcOf, parseRoce, type RocePacket } from '../roce/packet.ts';
import { type CapturedConnection, Connections } from './connections.ts';
import { describe } from './describe.ts';
import { type Datagram, readDatagram } from './frame.ts';
import { type CapturedPacket, readCapture } from './pcap.ts';
import { readSegment, type TcpSegment } from './segments.ts';

/** Something of SMC in a capture. */
export interface DecodedMessage {
  /** Of the packet, from 1. */
  readonly packet: number;
  /** Seconds, as the capture counts. */
  readonly time: number;
  /** Addresses, with ports where TCP carries it. */
  readonly source: string;
  readonly destination: string;
  /**
   * `tcp`: the option by which ends say that they speak SMC. `rdma`: data written into the other's
   * buffer. `ack`: of the transport, for the other three that come over RoCE.
   */
  readonly layer: 'tcp' | 'clc' | 'llc' | 'cdc' | 'rdma' | 'ack';
  /** Number of the {@link CapturedConnection}, where it is known. */
  readonly connection?: number;
  /** One line. */
  readonly summary: string;
  readonly message?: ClcMessage | LlcMessage | CdcMessage | RocePacket;
  /** What is wrong with it: an SmcError, or a checksum that is not right. */
  readonly problem?: string;
}

/**
 * What a capture has of SMC: the handshakes over TCP, and over RoCE the messages and writes.
 *
 * @example
 * const capture = new SmcCapture(source);
 * for await (const { summary } of capture.messages()) console.log(summary);
 * for (const { client, server, transport } of capture.connections()) console.log(client, transport);
 */
export class SmcCapture {
  readonly #source: Source;
  readonly #connections = new Connections();
  readonly #sends = new Map<string, Uint8Array[]>();

  constructor(source: Source) {
    this.#source = source;
  }

  /**
   * Reads the capture once, front to back.
   *
   * @throws SmcError `SMC_BAD_CAPTURE`; damaged messages do not raise, they have a `problem`
   */
  async *messages(options: ReadOptions = {}): AsyncGenerator<DecodedMessage> {
    for await (const packet of readCapture(this.#source, options)) {
      const datagram = readDatagram(packet);
      if (datagram === undefined) continue;
      if (datagram.protocol === 'tcp') yield* this.#tcp(packet, datagram);
      else if (datagram.destinationPort === ROCE_PORT) yield this.#roce(packet, datagram);
    }
  }

  /** The connections met so far; the latest 65536. */
  connections(): Iterable<CapturedConnection> {
    return this.#connections.list();
  }

  *#tcp(packet: CapturedPacket, datagram: Datagram): Generator<DecodedMessage> {
    const segment = readSegment(datagram);
    const ends = {
      source: `${datagram.source}:${datagram.sourcePort}`,
      destination: `${datagram.destination}:${datagram.destinationPort}`,
    };
    for (const { connection, message, problem } of this.#connections.feed(datagram, segment)) {
      const common = { ...placeOf(packet), ...ends, connection };
      if (problem !== undefined) {
        const text = String((problem as Error).message);
        yield { ...common, layer: 'clc', summary: 'damaged CLC message', problem: text };
      } else if (message === undefined) {
        yield { ...common, layer: 'tcp', summary: synText(segment) };
      } else yield { ...common, layer: 'clc', summary: describe(message), message };
    }
  }

  #roce(packet: CapturedPacket, datagram: Datagram): DecodedMessage {
    const { source, destination, ip, payload } = datagram;
    const common = { ...placeOf(packet), source, destination };
    try {
      const roce = parseRoce(payload);
      const told = viewOf(payload).getUint32(payload.length - ICRC_BYTES, true);
      const isRight = told === icrcOf(ip.subarray(0, ip.length - ICRC_BYTES));
      const problem = isRight ? {} : { problem: 'the invariant checksum (ICRC) is wrong' };
      return { ...common, ...this.#transport(roce, destination), ...problem };
    } catch (error) {
      const problem = (error as Error).message;
      return { ...common, layer: 'rdma', summary: 'damaged RoCE packet', problem };
    }
  }

  #transport(
    roce: RocePacket,
    destination: string,
  ): Pick<DecodedMessage, 'layer' | 'summary' | 'connection' | 'message'> {
    const { opcode, write } = roce;
    if (opcode === Opcode.acknowledge) {
      return { layer: 'ack', summary: describe(roce), message: roce };
    }
    const whole = this.#whole(roce, destination);
    if (whole === undefined) {
      const connection = write && this.#connections.find(destination, 'rkey', write.rkey);
      return { layer: 'rdma', summary: describe(roce), message: roce, ...known(connection) };
    }
    if (whole[0] !== CDC_TYPE) {
      const message = parseLlc(whole);
      return { layer: 'llc', summary: describe(message), message };
    }
    const message = parseCdc(whole);
    const connection = this.#connections.find(destination, 'token', message.token);
    return { layer: 'cdc', summary: describe(message), message, ...known(connection) };
  }

  /** The bytes of a SEND, once its last packet is there. */
  #whole({ opcode, queuePair, payload }: RocePacket, destination: string): Uint8Array | undefined {
    if (opcode === Opcode.sendOnly) return payload;
    const key = `${destination} ${queuePair}`;
    if (opcode === Opcode.sendFirst) this.#sends.set(key, [payload.slice()]);
    const parts = this.#sends.get(key);
    if (parts === undefined || opcode === Opcode.sendFirst) return undefined;
    if (opcode !== Opcode.sendMiddle && opcode !== Opcode.sendLast) return undefined;
    parts.push(payload.slice());
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (opcode === Opcode.sendLast || length > LLC_MAX_BYTES) this.#sends.delete(key);
    if (opcode !== Opcode.sendLast) return undefined;
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

const placeOf = ({ number, time }: CapturedPacket) => ({ packet: number, time });

const known = (connection: number | undefined) => (connection === undefined ? {} : { connection });

function synText({ isAck, hasSmcOption }: TcpSegment): string {
  const what = isAck ? 'SYN, ACK' : 'SYN';
  return hasSmcOption ? `${what}: speaks SMC` : `${what}: does not speak SMC`;
}
