/** What a connection would use: RDMA, or shared memory of one machine. */
export type Path = 'R' | 'D';
/** What a proposal offers in one version of the protocol. */
export type Offer = Path | 'both' | 'none';

export interface ClcProposal {
  readonly kind: 'proposal';
  readonly eyecatcher: Path;
  /** 1 or 2: the highest that the sender knows. */
  readonly version: number;
  readonly offerV1: Offer;
  readonly offerV2: Offer;
  readonly peerId: Uint8Array;
  readonly gid: Uint8Array;
  readonly mac: Uint8Array;
  readonly smcD?: SmcDArea;
  /** Subnets of the sender. There unless version 1 is not offered. */
  readonly prefix?: PrefixArea;
  readonly v2?: V2Extension;
}

export interface SmcDArea extends GidChid {
  readonly vendorOui: Uint8Array;
  readonly vendorOptions: Uint8Array;
}

/** A device for shared memory, and the network that it is in. */
export interface GidChid {
  readonly gid: bigint;
  readonly chid: number;
}

export interface PrefixArea {
  /** 4 bytes. */
  readonly ipv4Mask: Uint8Array;
  readonly ipv4Length: number;
  /** At most 8. */
  readonly ipv6: readonly { readonly prefix: Uint8Array; readonly length: number }[];
}

export interface V2Extension {
  /** Enterprise identifiers, at most 8, each of at most 32 characters of ASCII. */
  readonly eids: readonly string[];
  /** 0 or 1: version 2.release. */
  readonly release: number;
  readonly hasSystemEid: boolean;
  readonly roceGid: Uint8Array;
  readonly maxConnections: number;
  readonly maxLinks: number;
  readonly featureMask: number;
  readonly smcD?: { readonly systemEid: string; readonly devices: readonly GidChid[] };
}

interface AcceptBase {
  readonly kind: 'accept' | 'confirm';
  readonly version: number;
  /** Whether the link group is new. */
  readonly isFirstContact: boolean;
  readonly elementIndex: number;
  /** The buffer has 16 KiB << sizeExponent. 0 to 15. */
  readonly sizeExponent: number;
  /** In version 2. */
  readonly eid?: string;
  readonly firstContact?: FirstContact;
}

export interface ClcAcceptR extends AcceptBase {
  readonly path: 'R';
  readonly peerId: Uint8Array;
  readonly gid: Uint8Array;
  readonly mac: Uint8Array;
  readonly queuePair: number;
  readonly rkey: number;
  readonly alertToken: number;
  /** As InfiniBand counts: 1 is 256 bytes, 5 is 4096. */
  readonly mtu: number;
  /** Where the buffer is, as RDMA WRITE says it. */
  readonly address: bigint;
  readonly firstSequence: number;
}

export interface ClcAcceptD extends AcceptBase {
  readonly path: 'D';
  readonly gid: bigint;
  readonly token: bigint;
  readonly linkId: number;
  /** In version 2. */
  readonly chid?: number;
  readonly gidExtension?: bigint;
}

/** Accept of the server and Confirm of the client have one shape. */
export type ClcAccept = ClcAcceptR | ClcAcceptD;

export interface FirstContact {
  readonly isDirect: boolean;
  readonly osType: number;
  readonly release: number;
  readonly hostName: string;
  /** From release 1 on. */
  readonly v21?: {
    readonly maxConnections: number;
    readonly maxLinks: number;
    readonly featureMask: number;
    readonly vendorOptions: Uint8Array;
  };
  /** GIDs of the client, in a Confirm of path R; at most 255. */
  readonly gids?: readonly Uint8Array[];
}

export interface ClcDecline {
  readonly kind: 'decline';
  readonly eyecatcher: Path;
  readonly version: number;
  /** Whether the link group is out of step and ends. */
  readonly isOutOfSync: boolean;
  readonly peerId: Uint8Array;
  /** See {@link explainDiagnosis}. */
  readonly diagnosis: number;
  readonly osType: number;
  /** 16 bytes that version 2 adds. */
  readonly more?: Uint8Array;
}

export type ClcMessage = ClcProposal | ClcAccept | ClcDecline;
