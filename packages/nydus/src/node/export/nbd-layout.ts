import { be, struct, u16, u32, u64 } from '@anole/bytes';

/**
 * Network block devices: what goes over the wire, from the protocol's specification (doc/proto.md of
 * NetworkBlockDevice/nbd). All numbers are big-endian.
 */

/** First words of a server, and of each option: "NBDMAGIC", "IHAVEOPT". */
export const GREETING = 0x4e42444d41474943n;
export const OPTION = 0x49484156454f5054n;
export const OPTION_REPLY = 0x3e889045565a9n;
export const REQUEST = 0x25609513;
export const REPLY = 0x67446698;

/** Of the handshake, both ways. */
export const HandshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const OptionType = {
  exportName: 1,
  abort: 2,
  list: 3,
  info: 6,
  go: 7,
} as const;

export const OptionAnswer = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 0x80000001,
  invalid: 0x80000003,
  unknown: 0x80000006,
  tooBig: 0x80000009,
} as const;

export const InfoType = { export: 0, name: 1, blockSize: 3 } as const;

/** Of an export. */
export const ExportFlag = {
  hasFlags: 1,
  readOnly: 2,
  sendFlush: 4,
  multipleConnections: 0x100,
  sendCache: 0x400,
} as const;

export const Command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
} as const;

/** Errors of requests. */
export const NbdErrno = { none: 0, EPERM: 1, EIO: 5, EINVAL: 22, EOVERFLOW: 75 } as const;

export const Greeting = struct('nbd greeting', 18, {
  magic: be(u64),
  version: be(u64),
  /** {@link HandshakeFlag} */
  flags: be(u16),
});

export const OptionHeader = struct('nbd option', 16, {
  magic: be(u64),
  /** {@link OptionType} */
  option: be(u32),
  /** Bytes that follow. */
  length: be(u32),
});

export const OptionReply = struct('nbd option reply', 20, {
  magic: be(u64),
  option: be(u32),
  /** {@link OptionAnswer} */
  type: be(u32),
  length: be(u32),
});

/** What `exportName` is answered with, without the 124 zeros that old clients want behind it. */
export const ExportReply = struct('nbd export reply', 10, {
  size: be(u64),
  /** {@link ExportFlag} */
  flags: be(u16),
});

export const InfoExport = struct('nbd info export', 12, {
  type: be(u16),
  size: be(u64),
  flags: be(u16),
});

export const InfoBlockSize = struct('nbd info block size', 14, {
  type: be(u16),
  least: be(u32),
  preferred: be(u32),
  most: be(u32),
});

export const Request = struct('nbd request', 28, {
  magic: be(u32),
  flags: be(u16),
  /** {@link Command} */
  command: be(u16),
  /** The client's own; comes back with the reply. */
  cookie: be(u64),
  offset: be(u64),
  length: be(u32),
});

export const SimpleReply = struct('nbd simple reply', 16, {
  magic: be(u32),
  /** {@link NbdErrno} */
  error: be(u32),
  cookie: be(u64),
});
