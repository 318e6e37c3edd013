import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { Aeth, Bth, ICRC_BYTES, Reth } from '../layout/roce.ts';

/** What an end says of itself in the handshake. */
export interface Identity {
  /** IPv4 address of RoCE, dotted. */
  readonly address: string;
  readonly peerId: Uint8Array;
  readonly gid: Uint8Array;
  readonly mac: Uint8Array;
  /** See {@link mtuBytes}. */
  readonly mtu: number;
}

/** Bytes of a packet's payload that InfiniBand's number of an MTU means. */
export const mtuBytes = (mtu: number): number => 128 << mtu;

/** Headers of IP and UDP. */
const BELOW = 28;

/** What the interface says that has an address; undefined where none has. */
export function identityOf(address: string): Identity | undefined {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const own = addresses?.find(
      (each) => each.family === 'IPv4' && (each.address === address || isLoopback(each, address)),
    );
    if (own === undefined) continue;
    const mac = Uint8Array.from(own.mac.split(':'), (part) => Number.parseInt(part, 16));
    return makeIdentity(address, mac, mtuOf(name));
  }
  return undefined;
}

/** @param frame bytes of an IP packet, at most */
export function makeIdentity(address: string, mac: Uint8Array, frame: number): Identity {
  const room = frame - BELOW - Bth.size - Math.max(Reth.size, Aeth.size) - ICRC_BYTES;
  const mtu = [5, 4, 3, 2].find((each) => mtuBytes(each) <= room) ?? 1;
  return {
    address,
    peerId: Uint8Array.of(...randomBytes(2), ...mac),
    gid: gidOf(address),
    mac,
    mtu,
  };
}

/** All of 127.0.0.0/8 is this host's, though the interface names one address. */
const isLoopback = ({ internal }: { readonly internal: boolean }, address: string): boolean =>
  internal && address.startsWith('127.');

function mtuOf(name: string): number {
  return Number(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'));
}

/** As RoCE writes an IPv4 address. */
export const gidOf = (address: string): Uint8Array =>
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...address.split('.').map(Number));

/** The IPv4 address that a GID means; undefined for others. */
export function addressOf(gid: Uint8Array): string | undefined {
  const isV4 =
    gid.subarray(0, 10).every((byte) => byte === 0) && gid[10] === 0xff && gid[11] === 0xff;
  return isV4 ? gid.subarray(12).join('.') : undefined;
}
