import { viewOf } from '@anole/bytes';
import {
  ACCEPT_D_V1_RESERVED,
  ClcAcceptD as AcceptD,
  ClcAcceptR as AcceptR,
  ClcAcceptDV2,
  ClcAcceptRV2,
  ClcFirstContact,
  ClcFirstContactV21,
  ClcGidList,
} from '../layout/clc.ts';
import { type ClcFrame, FIRST_CONTACT, type WrittenBody } from './message.ts';
import type { ClcAccept, ClcAcceptD, ClcAcceptR, FirstContact } from './types.ts';

const GID_BYTES = 16;

export function parseAccept(frame: ClcFrame, kind: 'accept' | 'confirm'): ClcAccept {
  const { eyecatcher, version, typeV2, body } = frame;
  const isFirstContact = (typeV2 & FIRST_CONTACT) !== 0;
  const common = { kind, version, isFirstContact };
  const isV2 = version > 1;
  const own =
    eyecatcher === 'R' ? AcceptR.size + ClcAcceptRV2.size : AcceptD.size + ClcAcceptDV2.size;
  const rest = isV2 && body.byteLength > own ? own : undefined;
  const contact = rest !== undefined && {
    firstContact: parseFirstContact(body, rest, eyecatcher === 'R' && kind === 'confirm'),
  };
  if (eyecatcher === 'R') {
    const { sizes, ...fields } = AcceptR.read(body);
    return {
      ...common,
      path: 'R',
      ...fields,
      sizeExponent: sizes >>> 4,
      mtu: sizes & 15,
      ...(isV2 && ClcAcceptRV2.read(body, AcceptR.size)),
      ...contact,
    };
  }
  const { sizes, ...fields } = AcceptD.read(body);
  return {
    ...common,
    path: 'D',
    ...fields,
    sizeExponent: sizes >>> 4,
    ...(isV2 && ClcAcceptDV2.read(body, AcceptD.size)),
    ...contact,
  };
}

function parseFirstContact(body: DataView, offset: number, mayHaveGids: boolean): FirstContact {
  const { flags, os, hostName } = ClcFirstContact.read(body, offset);
  const release = os & 15;
  const isV21 = release > 0;
  const v21 = offset + ClcFirstContact.size;
  const gids = v21 + (isV21 ? ClcFirstContactV21.size : 0);
  return {
    isDirect: (flags & 0x80) !== 0,
    osType: os >>> 4,
    release,
    hostName,
    ...(isV21 && { v21: ClcFirstContactV21.read(body, v21) }),
    ...(mayHaveGids && gids < body.byteLength && { gids: parseGids(body, gids) }),
  };
}

function parseGids(body: DataView, offset: number): readonly Uint8Array[] {
  const { count } = ClcGidList.read(body, offset);
  const first = offset + ClcGidList.size;
  const list = new Uint8Array(body.buffer, body.byteOffset + first, body.byteLength - first);
  // A list that ends early reads as one beyond the message.
  ClcGidList.read(body, offset + count * GID_BYTES);
  return Array.from({ length: count }, (_, index) =>
    list.slice(index * GID_BYTES, (index + 1) * GID_BYTES),
  );
}

export function writeAccept(message: ClcAccept): WrittenBody {
  const { version, isFirstContact, path, firstContact } = message;
  const own = path === 'R' ? bodyR(message) : bodyD(message);
  const contact = firstContact === undefined ? new Uint8Array() : writeFirstContact(firstContact);
  const body = new Uint8Array(own.length + contact.length);
  body.set(own);
  body.set(contact, own.length);
  const types = ((isFirstContact ? FIRST_CONTACT : 0) << 2) | (path === 'R' ? 0 : 1);
  return { version: (version << 4) | types, body };
}

function bodyR(message: ClcAcceptR): Uint8Array {
  const { version, sizeExponent, mtu, eid = '' } = message;
  const body = new Uint8Array(AcceptR.size + (version > 1 ? ClcAcceptRV2.size : 0));
  AcceptR.write(viewOf(body), 0, { ...message, sizes: (sizeExponent << 4) | mtu });
  if (version > 1) ClcAcceptRV2.write(viewOf(body), AcceptR.size, { eid });
  return body;
}

function bodyD(message: ClcAcceptD): Uint8Array {
  const { version, sizeExponent, eid = '', chid = 0, gidExtension = 0n } = message;
  const rest = version > 1 ? ClcAcceptDV2.size : ACCEPT_D_V1_RESERVED;
  const body = new Uint8Array(AcceptD.size + rest);
  AcceptD.write(viewOf(body), 0, { ...message, sizes: sizeExponent << 4 });
  if (version > 1) ClcAcceptDV2.write(viewOf(body), AcceptD.size, { eid, chid, gidExtension });
  return body;
}

function writeFirstContact(contact: FirstContact): Uint8Array {
  const { isDirect, osType, release, hostName, v21, gids } = contact;
  const v21Bytes = v21 === undefined ? 0 : ClcFirstContactV21.size;
  const gidsAt = ClcFirstContact.size + v21Bytes;
  const gidsBytes = gids === undefined ? 0 : ClcGidList.size + gids.length * GID_BYTES;
  const bytes = new Uint8Array(gidsAt + gidsBytes);
  const view = viewOf(bytes);
  const os = (osType << 4) | release;
  ClcFirstContact.write(view, 0, { flags: isDirect ? 0x80 : 0, os, hostName });
  if (v21 !== undefined) ClcFirstContactV21.write(view, ClcFirstContact.size, v21);
  if (gids === undefined) return bytes;
  ClcGidList.write(view, gidsAt, { count: gids.length });
  for (const [index, gid] of gids.entries()) {
    bytes.set(gid, gidsAt + ClcGidList.size + index * GID_BYTES);
  }
  return bytes;
}
