// What the kernel tells of its sockets of SMC over netlink, in its own byte order. Sources: Linux
// include/uapi/linux/smc_diag.h, inet_diag.h, sock_diag.h.
import { bytes, pad, struct, u8, u16, u32, u64 } from '@anole/bytes';

/** NETLINK_SOCK_DIAG and SOCK_DIAG_BY_FAMILY. */
export const DIAG_PROTOCOL = 4;
export const DIAG_BY_FAMILY = 20;
export const AF_SMC = 43;

/** struct inet_diag_sockid: ports and addresses are in network order. */
const SocketId = struct('inet_diag_sockid', 48, {
  sourcePort: bytes(2),
  destinationPort: bytes(2),
  source: bytes(16),
  destination: bytes(16),
  interface: u32,
  cookie: bytes(8),
});

export const DiagRequest = struct('smc_diag_req', 52, {
  family: u8,
  reserved: pad(2),
  /** A bit for each kind of attribute that is wanted. */
  extensions: u8,
  id: bytes(SocketId.size),
});

export const DiagMessage = struct('smc_diag_msg', 64, {
  family: u8,
  state: u8,
  mode: u8,
  shutdown: u8,
  id: SocketId,
  uid: u32,
  /** As `fstat` gives it for the socket's descriptor. */
  inode: u64,
});

/** Of `mode`. */
export const DiagMode = { smcR: 0, tcp: 1, smcD: 2 } as const;

/** struct nlattr: what follows a message, each beginning at a multiple of four bytes. */
export const Attribute = struct('nlattr', 4, { length: u16, type: u16 });

export const FALLBACK_ATTRIBUTE = 5;
export const DiagFallback = struct('smc_diag_fallback', 8, {
  /** Why this end fell back, as a Decline has it. */
  reason: u32,
  /** What the peer's Decline said. */
  peerDiagnosis: u32,
});
