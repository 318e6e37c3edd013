import { viewOf } from '@anole/bytes';
import type { Ipv4 } from '../address.ts';
import { NetError } from '../errors.ts';
import * as D from '../layout/dns.ts';

/** A query with its one question. */
export interface Query {
  readonly id: number;
  readonly flags: number;
  /** In lower case, without the dot at its end; the root is ''. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Where the question ends in the message. */
  readonly end: number;
}

/** An A record of an answer. */
export interface AddressRecord {
  readonly address: Ipv4;
  /** Seconds. */
  readonly ttl: number;
}

const DATA = 10; // type, class, TTL and length before a record's data

/**
 * Reads the header and the question of a query or of a response.
 *
 * @throws NetError `NET_BAD_DNS` for anything but one question
 */
export function readQuestion(message: Uint8Array): Query {
  if (message.length < D.DnsHeader.size) throw bad('it is too short');
  const view = viewOf(message);
  const { id, flags, questions } = D.DnsHeader.at(view);
  if (questions !== 1) throw bad(`it has ${questions} questions`);
  const { name, end } = readName(message, D.DnsHeader.size);
  if (end + 4 > message.length) throw bad('its question is cut');
  return {
    id,
    flags,
    name,
    type: view.getUint16(end),
    class: view.getUint16(end + 2),
    end: end + 4,
  };
}

/**
 * The A records among a response's answers, whatever their names: those of aliases count.
 *
 * @throws NetError `NET_BAD_DNS`
 */
export function readAddresses(message: Uint8Array): AddressRecord[] {
  const view = viewOf(message);
  const { answers } = D.DnsHeader.at(view);
  const records: AddressRecord[] = [];
  let at = readQuestion(message).end;
  for (let index = 0; index < answers; index++) {
    at = readName(message, at).end;
    if (at + DATA > message.length) throw bad('a record is cut');
    const type = view.getUint16(at);
    const ttl = view.getUint32(at + 4);
    const length = view.getUint16(at + 8);
    at += DATA + length;
    if (at > message.length) throw bad('a record is cut');
    if (type !== D.TYPE_A) continue;
    if (length !== 4) throw bad(`an address has ${length} bytes`);
    records.push({ address: view.getUint32(at - 4), ttl: ttl > 0x7fff_ffff ? 0 : ttl });
  }
  return records;
}

/** A response to a query: its question, and answers of addresses for its name. */
export function writeResponse(
  query: Uint8Array,
  { id, flags, end }: Query,
  code: number,
  addresses: readonly AddressRecord[] = [],
): Uint8Array {
  const record = 2 + DATA + 4;
  const message = new Uint8Array(end + addresses.length * record);
  const view = viewOf(message);
  message.set(query.subarray(0, end));
  D.DnsHeader.write(view, 0, {
    id,
    flags: D.RESPONSE | (flags & (D.OPCODE | D.RECURSION_DESIRED)) | D.RECURSION_AVAILABLE | code,
    questions: 1,
    answers: addresses.length,
    authorities: 0,
    additionals: 0,
  });
  let at = end;
  for (const { address, ttl } of addresses) {
    view.setUint16(at, 0xc000 | D.DnsHeader.size); // the question's name
    view.setUint16(at + 2, D.TYPE_A);
    view.setUint16(at + 4, D.CLASS_IN);
    view.setUint32(at + 6, ttl);
    view.setUint16(at + 10, 4);
    view.setUint32(at + 12, address);
    at += record;
  }
  return message;
}

/** A response with addresses for a query's name. @throws NetError `NET_BAD_DNS` */
export function writeAddresses(query: Uint8Array, addresses: readonly AddressRecord[]): Uint8Array {
  return writeResponse(query, readQuestion(query), D.ResponseCode.ok, addresses);
}

/** A query for a name as stub resolvers send it. */
export function writeQuery(id: number, name: string, type: number): Uint8Array {
  const labels = name === '' ? [] : name.split('.').map((label) => new TextEncoder().encode(label));
  const length = labels.reduce((sum, label) => sum + label.length + 1, 1);
  const message = new Uint8Array(D.DnsHeader.size + length + 4);
  const view = viewOf(message);
  view.setUint16(0, id);
  view.setUint16(2, D.RECURSION_DESIRED);
  view.setUint16(4, 1);
  let at = D.DnsHeader.size;
  for (const label of labels) {
    message[at] = label.length;
    message.set(label, at + 1);
    at += label.length + 1;
  }
  view.setUint16(at + 1, type);
  view.setUint16(at + 3, D.CLASS_IN);
  return message;
}

/** RFC 1035, 4.1.4. Pointers must go back, so that each name ends. */
function readName(message: Uint8Array, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let length = 0;
  let end: number | undefined;
  let at = start;
  for (let limit = start; ; ) {
    const first = message[at];
    if (first === undefined) throw bad('a name is cut');
    if (first === 0) return { name: labels.join('.').toLowerCase(), end: end ?? at + 1 };
    if (first >= 0xc0) {
      end ??= at + 2;
      const target = ((first & 0x3f) << 8) | (message[at + 1] ?? 0xff);
      if (target >= limit || end > message.length) throw bad('a name points ahead');
      limit = target;
      at = target;
      continue;
    }
    const label = message.subarray(at + 1, at + 1 + first);
    length += first + 1;
    if (first > 63 || length > D.MAX_NAME || label.length < first) throw bad('a name is too long');
    labels.push(labelText(label));
    at += first + 1;
  }
}

/** Bytes that no host name has become `?`, which no rule covers. */
function labelText(label: Uint8Array): string {
  let text = '';
  for (const byte of label) {
    text += byte > 0x20 && byte < 0x7f && byte !== 0x2e ? String.fromCharCode(byte) : '?';
  }
  return text;
}

function bad(why: string): NetError {
  return new NetError('NET_BAD_DNS', `Cannot read the DNS message: ${why}`);
}
