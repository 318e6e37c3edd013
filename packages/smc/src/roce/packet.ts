import { crc32, viewOf } from '@anole/bytes';
import { parsing, SmcError } from '../errors.ts';
import { Aeth, Bth, ICRC_BYTES, Opcode, Reth } from '../layout/roce.ts';

/** A packet of a reliable connection. */
export interface RocePacket {
  readonly opcode: number;
  /** The queue pair that it is for. */
  readonly queuePair: number;
  readonly sequence: number;
  readonly wantsAcknowledge: boolean;
  /** Begins an RDMA WRITE. */
  readonly write?: { readonly address: bigint; readonly rkey: number; readonly length: number };
  /** Of acknowledgements: syndrome (0x00 to 0x1f ACK, 0x20 RNR NAK, 0x60 NAK) and messages seen. */
  readonly acknowledge?: { readonly syndrome: number; readonly count: number };
  /** Without padding; aliases the packet. */
  readonly payload: Uint8Array;
}

const known: ReadonlySet<number> = new Set(Object.values(Opcode));
const withReth: ReadonlySet<number> = new Set([Opcode.writeFirst, Opcode.writeOnly]);

/**
 * What UDP carries: headers, data, padding, checksum. The checksum is not looked at, see
 * {@link icrcOf}.
 *
 * @throws SmcError `SMC_BAD_ROCE`
 */
export function parseRoce(bytes: Uint8Array): RocePacket {
  return parsing('SMC_BAD_ROCE', 'a RoCE packet', () => {
    const { opcode, flags, queuePair, acknowledge, sequence } = Bth.decode(bytes);
    if (!known.has(opcode)) throw badRoce(`opcode 0x${opcode.toString(16)}`);
    const view = viewOf(bytes);
    const write = withReth.has(opcode) ? Reth.read(view, Bth.size) : undefined;
    const ack = opcode === Opcode.acknowledge ? Aeth.read(view, Bth.size) : undefined;
    const start = Bth.size + (write ? Reth.size : 0) + (ack ? Aeth.size : 0);
    const end = bytes.length - ICRC_BYTES - ((flags >>> 4) & 3);
    if (end < start) throw badRoce(`${bytes.length} bytes of opcode 0x${opcode.toString(16)}`);
    return {
      opcode,
      queuePair,
      sequence,
      wantsAcknowledge: (acknowledge & 0x80) !== 0,
      ...(write && { write }),
      ...(ack && { acknowledge: ack }),
      payload: bytes.subarray(start, end),
    };
  });
}

/**
 * The bytes that {@link parseRoce} reads so, new memory: padded to a multiple of four, with room for
 * the checksum, which the port fills in, since it covers the IP header.
 */
export function writeRoce(packet: RocePacket): Uint8Array {
  const { opcode, queuePair, sequence, wantsAcknowledge, write, acknowledge, payload } = packet;
  const start = Bth.size + (write ? Reth.size : 0) + (acknowledge ? Aeth.size : 0);
  const padding = -payload.length & 3;
  const bytes = new Uint8Array(start + payload.length + padding + ICRC_BYTES);
  const view = viewOf(bytes);
  Bth.write(view, 0, {
    opcode,
    flags: MIGRATED | (padding << 4),
    partitionKey: DEFAULT_PARTITION,
    congestion: 0,
    queuePair,
    acknowledge: wantsAcknowledge ? 0x80 : 0,
    sequence,
  });
  if (write) Reth.write(view, Bth.size, write);
  if (acknowledge) Aeth.write(view, Bth.size, acknowledge);
  bytes.set(payload, start);
  return bytes;
}

/** Path migration is not used, which this state says. */
const MIGRATED = 0x40;
const DEFAULT_PARTITION = 0xffff;

/** CRC-32 of eight bytes 0xff, which stand for headers that RoCE does not have. */
export const ICRC_START = 0x2144df1c;

/**
 * Invariant checksum of a packet: of its IP header, its UDP header and the transport's, with ones for
 * what routers change. Source: InfiniBand Architecture Specification 1.4, A17.3.
 *
 * @param ip from the IP header (version 4 without options, or 6) to the end of the packet's padding
 */
export function icrcOf(ip: Uint8Array): number {
  const masked = ip.slice();
  const isV4 = masked[0]! >>> 4 === 4;
  const udp = isV4 ? 20 : 40;
  if (masked.length < udp + 8 + Bth.size) throw badRoce(`${masked.length} bytes from IP on`);
  // Version 4: service, time to live, checksum. Version 6: class, flow label, hop limit.
  for (const at of isV4 ? [1, 8, 10, 11] : [1, 2, 3, 7]) masked[at] = 0xff;
  if (!isV4) masked[0]! |= 0x0f;
  // The checksum of UDP and the byte for congestion.
  for (const at of [udp + 6, udp + 7, udp + 8 + 4]) masked[at] = 0xff;
  return crc32(masked, ICRC_START);
}

function badRoce(what: string): SmcError {
  return new SmcError('SMC_BAD_ROCE', `Cannot read a RoCE packet: ${what}`);
}
