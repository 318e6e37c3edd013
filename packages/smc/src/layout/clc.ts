// Connection layer control: what both ends say over TCP before they leave it. Sources: RFC 7609
// appendix A.2 (version 1), Linux net/smc/smc_clc.h (version 2 and its extensions). Big-endian.
import { bytes, pad, struct, u8, u16, u32, u64 } from '@anole/bytes';
import { eid, gid, mac, paddedText, peerId, u24 } from './fields.ts';

const big = { endian: 'big' } as const;

/** "SMCR" and "SMCD" in EBCDIC. */
export const EYECATCHER_R = 0xe2d4c3d9;
export const EYECATCHER_D = 0xe2d4c3c4;

export const ClcHeader = struct(
  'smc_clc_msg_hdr',
  8,
  {
    eyecatcher: u32,
    type: u8,
    /** Of the whole message, trailer included. */
    length: u16,
    /** version:4 | typev2:2 | typev1:2 */
    version: u8,
  },
  big,
);

/** The eyecatcher again. */
export const CLC_TRAILER_BYTES = 4;

export const ClcProposalBase = struct(
  'smc_clc_msg_proposal',
  32,
  {
    peerId,
    gid,
    mac,
    /** From behind this field to {@link ClcPrefix}. */
    prefixOffset: u16,
  },
  big,
);

export const ClcSmcD = struct(
  'smc_clc_msg_smcd',
  40,
  {
    gid: u64,
    chid: u16,
    /** From behind this field to {@link ClcV2Extension}; 0 where there is none. */
    v2Offset: u16,
    vendorOui: bytes(3),
    vendorOptions: bytes(5),
    reserved: pad(20),
  },
  big,
);

export const ClcPrefix = struct(
  'smc_clc_msg_proposal_prefix',
  8,
  { ipv4Mask: bytes(4), ipv4Length: u8, reserved: pad(2), ipv6Count: u8 },
  big,
);

export const ClcIpv6Prefix = struct('smc_clc_ipv6_prefix', 17, { prefix: bytes(16), length: u8 });

export const ClcV2Extension = struct(
  'smc_clc_v2_extension',
  40,
  {
    eidCount: u8,
    gidCount: u8,
    reserved1: pad(1),
    /** release:4 | reserved:3 | has system EID:1 */
    flags: u8,
    reserved2: pad(2),
    /** From behind this field to {@link ClcSmcDV2Extension}; 0 where there is none. */
    smcDOffset: u16,
    roceGid: gid,
    maxConnections: u8,
    maxLinks: u8,
    featureMask: u16,
    reserved3: pad(12),
  },
  big,
);
/** Where `smcDOffset` counts from. */
export const V2_EXTENSION_OFFSET_END = 8;

export const ClcEid = struct('eid', 32, { eid });

export const ClcSmcDV2Extension = struct(
  'smc_clc_smcd_v2_extension',
  48,
  { systemEid: eid, reserved: pad(16) },
  big,
);

export const ClcGidChid = struct('smc_clc_smcd_gid_chid', 10, { gid: u64, chid: u16 }, big);

/** Behind the header of Accept and Confirm. */
export const ClcAcceptR = struct(
  'smc_clc_msg_accept_confirm, R',
  56,
  {
    peerId,
    gid,
    mac,
    queuePair: u24,
    rkey: u32,
    /** Always 1: each buffer has one element. */
    elementIndex: u8,
    alertToken: u32,
    /** buffer size:4 | path MTU:4 */
    sizes: u8,
    reserved1: pad(1),
    address: u64,
    reserved2: pad(1),
    firstSequence: u24,
  },
  big,
);

export const ClcAcceptD = struct(
  'smc_clc_msg_accept_confirm, D',
  24,
  {
    gid: u64,
    token: u64,
    elementIndex: u8,
    /** buffer size:4 | reserved:4 */
    sizes: u8,
    reserved: pad(2),
    linkId: u32,
  },
  big,
);
/** Reserved bytes between {@link ClcAcceptD} and the trailer of version 1. */
export const ACCEPT_D_V1_RESERVED = 12;

export const ClcAcceptRV2 = struct('the same, R, version 2', 40, { eid, reserved: pad(8) }, big);

export const ClcAcceptDV2 = struct(
  'the same, D, version 2',
  42,
  { chid: u16, eid, gidExtension: u64 },
  big,
);

export const ClcFirstContact = struct(
  'smc_clc_first_contact_ext',
  36,
  {
    /** v2_direct:1 | reserved:7 */
    flags: u8,
    /** OS type:4 | release:4 */
    os: u8,
    reserved: pad(2),
    hostName: paddedText(32),
  },
  big,
);

/** Follows {@link ClcFirstContact} from release 1 (version 2.1) on. */
export const ClcFirstContactV21 = struct(
  'smc_clc_first_contact_ext_v2x',
  16,
  {
    maxConnections: u8,
    maxLinks: u8,
    featureMask: u16,
    vendorOptions: bytes(4),
    reserved: pad(8),
  },
  big,
);

/** Ends a Confirm of the first contact, R, version 2; `count` GIDs follow. */
export const ClcGidList = struct('smc_clc_fce_gid_ext', 4, { count: u8, reserved: pad(3) }, big);

export const ClcDecline = struct(
  'smc_clc_msg_decline',
  16,
  {
    peerId,
    diagnosis: u32,
    /** OS type:4 | reserved:4 */
    os: u8,
    reserved: pad(3),
  },
  big,
);

/** Follows {@link ClcDecline} in version 2. */
export const ClcDeclineV2 = struct('smc_clc_msg_decline_v2', 16, { more: bytes(16) }, big);
