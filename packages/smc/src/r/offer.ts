import { hostname } from 'node:os';
import type { ClcAcceptR, ClcDecline, ClcProposal } from '../clc/types.ts';
import { SmcError } from '../errors.ts';
import { addressOf, type Identity, mtuBytes } from './identity.ts';
import { type Link, MAX_CONNECTIONS } from './link.ts';
import type { PeerElement } from './send-ring.ts';
import type { SmcRSocket } from './socket.ts';

/** Version 2.1, which is that of Linux 6.12. */
const RELEASE = 1;
/** Operating system: Linux. Source: net/smc/smc_clc.h, SMC_CLC_OS_LINUX. */
const LINUX = 2;
/** Bytes of a ring whose size is 0. */
const SMALLEST_RING = 16384;

/** Numbers of a Decline that this package gives; see `explainDiagnosis`. */
export const Reason = {
  memory: 0x01010000,
  unconfirmed: 0x02010000,
  noDevice: 0x03030002,
  noEid: 0x03030008,
  version: 0x030c0000,
  outOfSync: 0x04000000,
  notSmc: 0x03010000,
} as const;

/** What a client sends first: SMC-R of version 2, and nothing of version 1. */
export function proposalOf({ gid }: Identity, eids: readonly string[]): ClcProposal {
  const none = new Uint8Array(8);
  return {
    kind: 'proposal',
    eyecatcher: 'R',
    version: 2,
    offerV1: 'none',
    offerV2: 'R',
    // Of version 1: Linux leaves them out, too.
    peerId: none,
    gid: new Uint8Array(16),
    mac: new Uint8Array(6),
    v2: {
      eids,
      release: RELEASE,
      hasSystemEid: false,
      roceGid: gid,
      maxConnections: MAX_CONNECTIONS,
      maxLinks: 1,
      featureMask: 0,
    },
  };
}

/** Accept of a server, Confirm of a client. */
export function acceptOf(
  kind: 'accept' | 'confirm',
  { peerId, gid, mac, mtu }: Identity,
  { link, socket, eid, isFirstContact }: Agreement,
): ClcAcceptR {
  const { region, size } = socket.ring;
  const v21 = {
    maxConnections: MAX_CONNECTIONS,
    maxLinks: 1,
    featureMask: 0,
    vendorOptions: new Uint8Array(4),
  };
  const gids = kind === 'confirm' && { gids: [gid] };
  const contact = {
    isDirect: true,
    osType: LINUX,
    release: RELEASE,
    hostName: hostname(),
    v21,
    ...gids,
  };
  return {
    kind,
    path: 'R',
    version: 2,
    isFirstContact,
    peerId,
    gid,
    mac,
    queuePair: link.queuePair.number,
    rkey: region.rkey,
    elementIndex: 1,
    alertToken: socket.token,
    sizeExponent: Math.log2(size / SMALLEST_RING),
    mtu,
    address: region.address,
    firstSequence: link.queuePair.firstSequence,
    eid,
    ...(isFirstContact && { firstContact: contact }),
  };
}

/** What both ends of a connection have settled on. */
export interface Agreement {
  readonly link: Link;
  readonly socket: SmcRSocket;
  readonly eid: string;
  readonly isFirstContact: boolean;
}

/** The peer's ring. */
export function elementOf({ rkey, address, sizeExponent, alertToken }: ClcAcceptR): PeerElement {
  return { rkey, address, size: SMALLEST_RING << sizeExponent, token: alertToken };
}

/** The peer's end of a new link. */
export function queuePairOf({ queuePair, firstSequence, mtu }: ClcAcceptR, own: Identity) {
  return { queuePair, firstSequence, mtu: mtuBytes(Math.min(mtu, own.mtu)) };
}

/**
 * Where the peer's packets go.
 *
 * @throws SmcError `SMC_BAD_CLC`
 */
export function peerAddress({ gid, mtu, elementIndex }: ClcAcceptR): string {
  const address = addressOf(gid);
  if (address === undefined || mtu < 1 || mtu > 5 || elementIndex !== 1) {
    throw new SmcError('SMC_BAD_CLC', `Cannot agree on SMC: MTU ${mtu}, element ${elementIndex}`);
  }
  return address;
}

export function declineOf({ peerId }: Identity, diagnosis: number): ClcDecline {
  const isOutOfSync = diagnosis === Reason.outOfSync;
  return {
    kind: 'decline',
    eyecatcher: 'R',
    version: 2,
    isOutOfSync,
    peerId,
    diagnosis,
    osType: LINUX,
  };
}
