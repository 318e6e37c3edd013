import { type Fields, type Struct, type ValueOf, viewOf } from '@anole/bytes';
import { SmcError } from '../errors.ts';
import {
  LlcListedGid as Gid,
  LlcAddLink,
  LlcAddLinkContinue,
  LlcAddLinkV2,
  LlcConfirmKey,
  LlcConfirmLink,
  LlcDeleteKey,
  LlcDeleteLink,
  LlcNewKey,
  LlcRequestAddLink,
  LlcTestLink,
  LlcListedRkey as Rkey,
} from '../layout/llc.ts';

export interface NewKey {
  readonly rkey: number;
  readonly newRkey: number;
  readonly newAddress: bigint;
}

export interface LinkKey {
  readonly link: number;
  readonly rkey: number;
  readonly address: bigint;
}

export interface ConfirmLink {
  readonly kind: 'confirm-link';
  readonly mac: Uint8Array;
  readonly gid: Uint8Array;
  readonly queuePair: number;
  readonly linkNumber: number;
  readonly linkUid: number;
  readonly maxLinks: number;
  readonly maxConnections: number;
}

export interface AddLink {
  readonly kind: 'add-link';
  readonly mac: Uint8Array;
  readonly gid: Uint8Array;
  readonly queuePair: number;
  readonly linkNumber: number;
  readonly mtu: number;
  readonly firstSequence: number;
  /** In requests of version 2. */
  readonly v2?: {
    readonly isDirect: boolean;
    readonly clientGid: Uint8Array;
    readonly keys: readonly NewKey[];
  };
}

export interface AddLinkContinue {
  readonly kind: 'add-link-continue';
  readonly linkNumber: number;
  readonly keysLeft: number;
  /** Two, the second one zeros where it is not used. */
  readonly keys: readonly NewKey[];
}

export interface DeleteLink {
  readonly kind: 'delete-link';
  readonly linkNumber: number;
  readonly reason: number;
}

export interface RequestAddLink {
  readonly kind: 'request-add-link';
  readonly gids: readonly Uint8Array[];
}

export interface ConfirmKey {
  readonly kind: 'confirm-rkey' | 'confirm-rkey-continue';
  /** Three. In the first one `link` is the number of keys beside it. */
  readonly keys: readonly LinkKey[];
}

export interface TestLink {
  readonly kind: 'test-link';
  readonly userData: Uint8Array;
}

export interface DeleteKey {
  readonly kind: 'delete-rkey';
  /** Version 1: a bit for each key that is not known. Version 2: how many are not. */
  readonly unknown: number;
  readonly rkeys: readonly number[];
}

export type LlcBody =
  | ConfirmLink
  | AddLink
  | AddLinkContinue
  | DeleteLink
  | RequestAddLink
  | ConfirmKey
  | TestLink
  | DeleteKey;

interface Circumstances {
  readonly version: number;
  readonly isResponse: boolean;
}

interface LlcKind<T extends LlcBody> {
  readonly kind: T['kind'];
  /** `body` begins behind the header. */
  parse(body: DataView, circumstances: Circumstances): T;
  write(message: T, circumstances: Circumstances): Uint8Array;
}

/** Messages that are one structure. */
function plain<F extends Fields>(kind: LlcBody['kind'], layout: Struct<F>): LlcKind<LlcBody> {
  return {
    kind,
    parse: (body) => ({ kind, ...layout.read(body) }) as unknown as LlcBody,
    write: (message) => layout.encode(message as unknown as ValueOf<F>),
  };
}

const addLink: LlcKind<AddLink> = {
  kind: 'add-link',
  parse(body, { version, isResponse }) {
    const { mtu, ...fields } = LlcAddLink.read(body);
    const hasMore = version > 1 && !isResponse && body.byteLength > LlcAddLink.size;
    return {
      kind: 'add-link',
      ...fields,
      mtu: mtu & 15,
      ...(hasMore && { v2: parseAddLinkV2(body) }),
    };
  },
  write(message) {
    const { v2 } = message;
    const more = v2 === undefined ? 0 : LlcAddLinkV2.size + v2.keys.length * LlcNewKey.size;
    const bytes = new Uint8Array(LlcAddLink.size + more);
    const view = viewOf(bytes);
    LlcAddLink.write(view, 0, message);
    if (v2 === undefined) return bytes;
    const { isDirect, clientGid, keys } = v2;
    const head = { flags: isDirect ? 0x80 : 0, clientGid, keys: keys.length };
    LlcAddLinkV2.write(view, LlcAddLink.size, head);
    const first = LlcAddLink.size + LlcAddLinkV2.size;
    for (const [index, key] of keys.entries()) {
      LlcNewKey.write(view, first + index * LlcNewKey.size, key);
    }
    return bytes;
  },
};

function parseAddLinkV2(body: DataView): NonNullable<AddLink['v2']> {
  const { flags, clientGid, keys } = LlcAddLinkV2.read(body, LlcAddLink.size);
  const first = LlcAddLink.size + LlcAddLinkV2.size;
  // The count is in the order of the sender's processor: the length tells which.
  const count = (body.byteLength - first) / LlcNewKey.size;
  if (keys !== count && (keys & 0xff) * 0x100 + (keys >>> 8) !== count) {
    throw new SmcError('SMC_BAD_LLC', `Cannot read an ADD LINK message: ${keys} keys`);
  }
  return {
    isDirect: (flags & 0x80) !== 0,
    clientGid,
    keys: Array.from({ length: count }, (_, at) =>
      LlcNewKey.read(body, first + at * LlcNewKey.size),
    ),
  };
}

const requestAddLink: LlcKind<RequestAddLink> = {
  kind: 'request-add-link',
  parse(body, { version }) {
    const count = version > 1 ? LlcRequestAddLink.read(body).gids : 0;
    const gids = Array.from({ length: count }, (_, index) =>
      Gid.read(body, LlcRequestAddLink.size + index * Gid.size),
    );
    return { kind: 'request-add-link', gids: gids.map(({ gid }) => gid) };
  },
  write({ gids }) {
    const bytes = new Uint8Array(LlcRequestAddLink.size + gids.length * Gid.size);
    LlcRequestAddLink.write(viewOf(bytes), 0, { gids: gids.length });
    for (const [index, gid] of gids.entries()) {
      bytes.set(gid, LlcRequestAddLink.size + index * Gid.size);
    }
    return bytes;
  },
};

/** Places for keys in version 1. */
const V1_KEYS = 8;

const deleteKey: LlcKind<DeleteKey> = {
  kind: 'delete-rkey',
  parse(body, { version }) {
    const { count, unknown } = LlcDeleteKey.read(body);
    if (version === 1 && count > V1_KEYS) {
      throw new SmcError('SMC_BAD_LLC', `Cannot read a DELETE RKEY message: ${count} keys`);
    }
    const rkeys = Array.from({ length: count }, (_, index) => {
      const at = LlcDeleteKey.size + index * Rkey.size;
      return Rkey.read(body, at).rkey;
    });
    return { kind: 'delete-rkey', unknown, rkeys };
  },
  write({ unknown, rkeys }) {
    const bytes = new Uint8Array(LlcDeleteKey.size + rkeys.length * Rkey.size);
    const view = viewOf(bytes);
    LlcDeleteKey.write(view, 0, { count: rkeys.length, unknown });
    for (const [index, rkey] of rkeys.entries()) {
      Rkey.write(view, LlcDeleteKey.size + index * Rkey.size, { rkey });
    }
    return bytes;
  },
};

/** By the lower half of the type byte. What is written is of the kind it is looked up by. */
export const llcKinds = [
  undefined,
  plain('confirm-link', LlcConfirmLink),
  addLink,
  plain('add-link-continue', LlcAddLinkContinue),
  plain('delete-link', LlcDeleteLink),
  requestAddLink,
  plain('confirm-rkey', LlcConfirmKey),
  plain('test-link', LlcTestLink),
  plain('confirm-rkey-continue', LlcConfirmKey),
  deleteKey,
] as unknown as readonly (LlcKind<LlcBody> | undefined)[];
