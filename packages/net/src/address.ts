/** An IPv4 address as a number of 32 bits without sign: 127.0.0.1 is 0x7f000001. */
export type Ipv4 = number;

/** Addresses whose first `prefix` bits are those of `address`. */
export interface Ipv4Range {
  readonly address: Ipv4;
  readonly prefix: number;
}

/** Four decimal numbers without leading zeros, which others would take as octal. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const part of match.slice(1)) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    address = address * 256 + Number(part);
  }
  return address;
}

export function formatIpv4(address: Ipv4): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** `10.0.0.0/8`, or one address. Bits behind the prefix must be 0. */
export function parseIpv4Range(text: string): Ipv4Range | undefined {
  const [host = '', length] = text.split('/', 2);
  const address = parseIpv4(host);
  if (address === undefined || text.split('/').length > 2) return undefined;
  if (length === undefined) return { address, prefix: 32 };
  if (!/^\d{1,2}$/.test(length) || Number(length) > 32) return undefined;
  const range = { address, prefix: Number(length) };
  return (address & ~maskOf(range.prefix)) === 0 ? range : undefined;
}

export function inRange(address: Ipv4, range: Ipv4Range): boolean {
  return ((address ^ range.address) & maskOf(range.prefix)) === 0;
}

/** Whether all of `inner` lies in `outer`. */
export function isWithin(inner: Ipv4Range, outer: Ipv4Range): boolean {
  return inner.prefix >= outer.prefix && inRange(inner.address, outer);
}

function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : -1 << (32 - prefix);
}
