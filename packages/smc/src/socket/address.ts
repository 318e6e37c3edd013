import { networkInterfaces } from 'node:os';
import type { SocketName } from './internals.ts';

const remembered = new Map<string, readonly number[]>();

/** An address as four words; IPv4 as it is mapped into IPv6. */
export function addressWords(address: string): readonly number[] {
  let words = remembered.get(address);
  if (words === undefined) {
    words = parse(address);
    if (remembered.size >= 4096) remembered.clear();
    remembered.set(address, words);
  }
  return words;
}

function parse(address: string): number[] {
  const [text = ''] = address.split('%');
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted !== null && /^(::ffff:)?[\d.]+$/i.test(text)) {
    const value = dotted.slice(1).reduce((sum, part) => (sum << 8) | Number(part), 0);
    return [0, 0, 0xffff, value];
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map((g) => Number(`0x${g}`));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const all = [
    ...first,
    ...new Array(Math.max(0, 8 - first.length - last.length)).fill(0),
    ...last,
  ];
  return [0, 2, 4, 6].map((at) => (all[at]! << 16) | all[at + 1]! | 0);
}

/** What a TCP connection is known by at both of its ends. */
export function connectionKey(
  client: readonly number[],
  server: readonly number[],
  ports: number,
): string {
  return `${ports}/${client[0]},${client[1]},${client[2]},${client[3]}/${server[0]},${server[1]},${server[2]},${server[3]}`;
}

export const portWord = (client: number, server: number): number => (client << 16) | server;

let own: { readonly until: number; readonly addresses: ReadonlySet<string> } | undefined;

/** Whether a connection to this address stays on this host. */
export function isOnThisHost(address: string): boolean {
  const [first, second, third, last] = addressWords(address) as [number, number, number, number];
  if (first === 0 && second === 0) {
    if (third === 0xffff) {
      if (last >>> 24 === 127 || last === 0) return true;
    } else if (third === 0 && (last === 0 || last === 1)) return true;
  }
  const now = Date.now();
  if (own === undefined || own.until < now) {
    const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    own = {
      until: now + 5000,
      addresses: new Set(all.map((each) => addressWords(each.address).join())),
    };
  }
  return own.addresses.has(addressWords(address).join());
}

export function nameOf(ask: (out: SocketName) => number): Required<SocketName> | undefined {
  const out: SocketName = {};
  if (ask(out) !== 0 || out.address === undefined || out.port === undefined) return undefined;
  return { address: out.address, port: out.port, family: out.family ?? '' };
}
