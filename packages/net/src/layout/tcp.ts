import { struct, u8, u16, u32 } from '@anole/bytes';

/** RFC 9293, 3.1, without options. */
export const Tcp = struct(
  'TCP header',
  20,
  {
    source: u16,
    destination: u16,
    sequence: u32,
    acknowledgment: u32,
    /** The header's length in words of 32 bits, in the upper half. */
    dataOffset: u8,
    flags: u8,
    window: u16,
    checksum: u16,
    urgent: u16,
  },
  { endian: 'big' },
);
export const TCP_CHECKSUM = 16;

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

/** Kinds of options: RFC 9293 3.2, RFC 7323 2.2. */
export const OPTION_END = 0;
export const OPTION_NOP = 1;
export const OPTION_MSS = 2;
export const OPTION_WINDOW_SCALE = 3;
/** RFC 7323, 2.3. */
export const MAX_WINDOW_SCALE = 14;
