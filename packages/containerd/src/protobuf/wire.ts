import { ContainerdError } from '../errors.ts';

/** How a field's value lies in a message (protobuf.dev, "Encoding"). */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Reads the fields of a message, one after the other. Aliases its input. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Number and wire type of the next field. @throws ContainerdError `CONTAINERD_BAD_MESSAGE` */
  tag(): { readonly number: number; readonly wire: number } {
    const tag = Number(this.varint());
    return { number: Math.floor(tag / 8), wire: tag % 8 };
  }

  /** 64 bits, as they are written: negative numbers have two's complement. */
  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw bad('a number does not end');
  }

  /** What a length before it bounds. */
  bytes(): Uint8Array {
    const length = Number(this.varint());
    if (length > this.#bytes.length - this.#at) throw bad('a field is longer than its message');
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** Passes over a field of a number that is not known. */
  skip(wire: number): void {
    if (wire === WireType.varint) this.varint();
    else if (wire === WireType.bytes) this.bytes();
    else if (wire === WireType.fixed64 || wire === WireType.fixed32) {
      this.#at += wire === WireType.fixed64 ? 8 : 4;
      if (this.#at > this.#bytes.length) throw bad('a field is longer than its message');
    } else throw bad(`the wire type ${wire} is none`);
  }
}

/** Writes a message's fields. */
export class WireWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  varint(number: number, value: bigint): void {
    this.#tag(number, WireType.varint);
    this.#add(varintOf(BigInt.asUintN(64, value)));
  }

  bytes(number: number, value: Uint8Array): void {
    this.#tag(number, WireType.bytes);
    this.#add(varintOf(BigInt(value.length)));
    this.#add(value);
  }

  finish(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #tag(number: number, wire: number): void {
    this.#add(varintOf(BigInt(number * 8 + wire)));
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#length += part.length;
  }
}

function varintOf(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 0x80n) return Uint8Array.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

export function bad(why: string): ContainerdError {
  return new ContainerdError('CONTAINERD_BAD_MESSAGE', `Cannot read the message: ${why}`);
}
