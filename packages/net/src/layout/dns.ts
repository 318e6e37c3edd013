import { struct, u16 } from '@anole/bytes';

/** RFC 1035, 4.1.1. */
export const DnsHeader = struct(
  'DNS header',
  12,
  { id: u16, flags: u16, questions: u16, answers: u16, authorities: u16, additionals: u16 },
  { endian: 'big' },
);

export const RESPONSE = 0x8000;
export const OPCODE = 0x7800;
export const TRUNCATED = 0x0200;
export const RECURSION_DESIRED = 0x0100;
export const RECURSION_AVAILABLE = 0x0080;

/** RFC 1035, 4.1.1 and RFC 6895, 2.3. */
export const ResponseCode = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;

export const TYPE_A = 1;
export const TYPE_PTR = 12;
export const TYPE_AAAA = 28;
export const TYPE_OPT = 41;
export const CLASS_IN = 1;
/** RFC 1035, 2.3.4: of a name in a message, and of a message over UDP without EDNS. */
export const MAX_NAME = 255;
export const MAX_UDP = 512;
