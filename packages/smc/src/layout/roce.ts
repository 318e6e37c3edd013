// RoCE version 2: InfiniBand's transport in UDP. Source: InfiniBand Architecture Specification 1.4
// chapter 9 (headers, packets), annex A17 (RoCEv2). Big-endian, but for the checksum.
import { struct, u8, u16, u32, u64 } from '@anole/bytes';
import { u24 } from './fields.ts';

const big = { endian: 'big' } as const;

export const ROCE_PORT = 4791;
/** Invariant CRC behind each packet. */
export const ICRC_BYTES = 4;

export const Bth = struct(
  'base transport header',
  12,
  {
    opcode: u8,
    /** solicited:1 | migrated:1 | bytes of padding:2 | version:4 */
    flags: u8,
    partitionKey: u16,
    congestion: u8,
    queuePair: u24,
    /** acknowledge:1 | reserved:7 */
    acknowledge: u8,
    sequence: u24,
  },
  big,
);

export const Reth = struct(
  'RDMA extended transport header',
  16,
  { address: u64, rkey: u32, length: u32 },
  big,
);

export const Aeth = struct('ACK extended transport header', 4, { syndrome: u8, count: u24 }, big);

/** Opcodes of reliable connections that SMC-R uses. */
export const Opcode = {
  sendFirst: 0x00,
  sendMiddle: 0x01,
  sendLast: 0x02,
  sendOnly: 0x04,
  writeFirst: 0x06,
  writeMiddle: 0x07,
  writeLast: 0x08,
  writeOnly: 0x0a,
  acknowledge: 0x11,
} as const;
