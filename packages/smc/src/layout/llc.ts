// Link layer control: messages about the links of a link group, sent over themselves. Sources:
// RFC 7609 appendix A.3 (version 1), Linux net/smc/smc_llc.c (version 2). Big-endian, but for the
// length and the number of keys of version 2, which are in the order of the sender's processor.
import { array, bytes, le, pad, struct, u8, u16, u32, u64 } from '@anole/bytes';
import { gid, mac, u24 } from './fields.ts';

const big = { endian: 'big' } as const;

/** Of version 1, and of most of version 2. */
export const LLC_BYTES = 44;
/** Source: smc_wr.h, SMC_WR_BUF_V2_SIZE. */
export const LLC_MAX_BYTES = 8192;

export const LlcHeader = struct('smc_llc_hdr', 4, {
  /** version:4 | type:4; version 1 is written as 0. */
  type: u8,
  /** Version 1: in the first byte, and reserved:4 | reason:4 in the second. */
  length: le(u16),
  flags: u8,
});

export const LlcFlag = {
  response: 0x80,
  /** ADD LINK: rejected. DELETE LINK: all of them. */
  reject: 0x40,
  /** DELETE LINK: orderly. Keys: refused. */
  negative: 0x20,
  /** CONFIRM RKEY: try again. */
  retry: 0x10,
  /** CONFIRM LINK: no eyecatcher in the buffers. */
  noEyecatcher: 0x03,
} as const;

export const LlcConfirmLink = struct(
  'smc_llc_msg_confirm_link',
  40,
  {
    mac,
    gid,
    queuePair: u24,
    linkNumber: u8,
    linkUid: u32,
    maxLinks: u8,
    /** Version 2. */
    maxConnections: u8,
    reserved: pad(8),
  },
  big,
);

export const LlcAddLink = struct(
  'smc_llc_msg_add_link',
  40,
  {
    mac,
    reserved1: pad(2),
    gid,
    queuePair: u24,
    linkNumber: u8,
    /** reserved:4 | path MTU:4 */
    mtu: u8,
    firstSequence: u24,
    reserved2: pad(8),
  },
  big,
);

/** A buffer that is known by one key over the link in use, and by another over the new one. */
export const LlcNewKey = struct(
  'smc_llc_msg_add_link_cont_rt',
  16,
  { rkey: u32, newRkey: u32, newAddress: u64 },
  big,
);

/** Follows {@link LlcAddLink} in requests of version 2; keys follow. */
export const LlcAddLinkV2 = struct('smc_llc_msg_add_link_v2_ext', 28, {
  /** v2_direct:1 | reserved:7 */
  flags: u8,
  reserved1: pad(1),
  clientGid: gid,
  reserved2: pad(8),
  keys: le(u16),
});

export const LlcAddLinkContinue = struct(
  'smc_llc_msg_add_link_cont',
  40,
  { linkNumber: u8, keysLeft: u8, reserved1: pad(2), keys: array(LlcNewKey, 2), reserved2: pad(4) },
  big,
);

export const LlcDeleteLink = struct(
  'smc_llc_msg_del_link',
  40,
  { linkNumber: u8, reason: u32, reserved: pad(35) },
  big,
);

/** `gids` GIDs follow. */
export const LlcRequestAddLink = struct('smc_llc_msg_req_add_link_v2', 24, {
  reserved1: pad(20),
  gids: u8,
  reserved2: pad(3),
});

/** A key of one link. In the first of a message `link` is the number of keys beside it. */
export const LlcKey = struct('smc_rmb_rtoken', 13, { link: u8, rkey: u32, address: u64 }, big);

export const LlcConfirmKey = struct('smc_llc_msg_confirm_rkey', 40, {
  keys: array(LlcKey, 3),
  reserved: pad(1),
});

export const LlcTestLink = struct('smc_llc_msg_test_link', 40, {
  userData: bytes(16),
  reserved: pad(24),
});

/** `count` keys follow: 8 places in version 1. */
export const LlcDeleteKey = struct('smc_llc_msg_delete_rkey', 4, {
  count: u8,
  /** Version 1: a bit for each key that is not known. Version 2: how many are not. */
  unknown: u8,
  reserved: pad(2),
});

export const LlcListedGid = struct('gid', 16, { gid });
export const LlcListedRkey = struct('rkey', 4, { rkey: u32 }, big);
