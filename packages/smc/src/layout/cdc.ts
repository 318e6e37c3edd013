// Connection data control: how far each end has written and read. Sources: RFC 7609 appendix A.4,
// Linux net/smc/smc_cdc.h.
import { pad, struct, u8, u16, u32 } from '@anole/bytes';

const big = { endian: 'big' } as const;

export const CDC_TYPE = 0xfe;
export const CDC_BYTES = 44;

/** A place in a ring: how often it went round, and the byte. */
export const CdcCursor = struct(
  'smc_cdc_cursor',
  8,
  { reserved: pad(2), wrap: u16, count: u32 },
  big,
);

/** Of SMC-R: a message of its own, after the data. */
export const CdcMessageR = struct(
  'smc_cdc_msg',
  CDC_BYTES,
  {
    type: u8,
    length: u8,
    /** From 1 on; tells messages of several links apart. */
    sequence: u16,
    /** Alert token of the receiver. */
    token: u32,
    producer: CdcCursor,
    consumer: CdcCursor,
    producerFlags: u8,
    connectionFlags: u8,
    reserved: pad(18),
  },
  big,
);

export const ProducerFlag = {
  writeBlocked: 0x80,
  urgentPending: 0x40,
  urgentPresent: 0x20,
  cursorUpdateRequested: 0x10,
  failoverValidation: 0x08,
} as const;

export const ConnectionFlag = { doneWriting: 0x80, closed: 0x40, abort: 0x20 } as const;
