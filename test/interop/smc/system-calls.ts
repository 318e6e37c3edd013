import { once } from 'node:events';
import type { Socket } from 'node:net';
import { assemble } from '@anole/machine';
import { codeAddress, elf } from '../../../packages/sandbox/src/guest/elf.ts';

/** Where the program has its data; the request lies a page before. */
const DATA = 0x100_1000;
const DATA_BYTES = 256 << 10;
const REQUEST_BYTES = 72;

/**
 * A program for the guest that makes system calls on request: number, six arguments, the bytes that go
 * into its data before, and how many come out after. It answers with the result and these bytes.
 */
const source = `
  lui s0, 0x1000
  lui s3, 0x1001
  again: addi s1, s0, 0
  addi s2, s0, ${REQUEST_BYTES}
  jal ra, receive
  addi s1, s3, 0
  ld s2, 56(s0)
  add s2, s2, s3
  jal ra, receive
  ld a7, 0(s0)
  ld a0, 8(s0)
  ld a1, 16(s0)
  ld a2, 24(s0)
  ld a3, 32(s0)
  ld a4, 40(s0)
  ld a5, 48(s0)
  ecall
  sd a0, 0(s0)
  addi s1, s0, 0
  addi s2, s0, 8
  jal ra, answer
  addi s1, s3, 0
  ld s2, 64(s0)
  add s2, s2, s3
  jal ra, answer
  jal zero, again
  receive: bgeu s1, s2, return
  addi a0, zero, 0
  addi a1, s1, 0
  sub a2, s2, s1
  addi a7, zero, 63
  ecall                  # read
  bge zero, a0, over
  add s1, s1, a0
  jal zero, receive
  answer: bgeu s1, s2, return
  addi a0, zero, 1
  addi a1, s1, 0
  sub a2, s2, s1
  addi a7, zero, 64
  ecall                  # write
  bge zero, a0, over
  add s1, s1, a0
  jal zero, answer
  return: jalr zero, 0(ra)
  over: addi a7, zero, 94
  ecall                  # exit_group`;

export function callerProgram(): Uint8Array {
  const words = assemble(source, BigInt(codeAddress));
  return elf([...words], { address: 0x100_0000, size: DATA - 0x100_0000 + DATA_BYTES });
}

export interface CallResult {
  /** Negative: the number of an error. */
  readonly result: number;
  readonly bytes: Buffer;
}

/** An argument that is bytes: it becomes their address. `out` bytes of it come back. */
export interface Memory {
  readonly bytes?: Uint8Array;
  readonly out?: number;
}

/** System calls of the guest, made from here over a port of its console. */
export class SystemCalls {
  readonly #port: Socket;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(port: Socket) {
    this.#port = port;
  }

  /** Makes a call after those before it have returned. */
  call(number: number, ...args: readonly (number | Memory)[]): Promise<CallResult> {
    const made = this.#turn.then(() => this.#make(number, args));
    this.#turn = made.catch(() => {});
    return made;
  }

  async #make(number: number, args: readonly (number | Memory)[]): Promise<CallResult> {
    const request = Buffer.alloc(REQUEST_BYTES);
    request.writeBigInt64LE(BigInt(number), 0);
    const memory: Buffer[] = [];
    let used = 0;
    let out = 0;
    args.forEach((arg, index) => {
      const value = typeof arg === 'number' ? arg : DATA + used;
      request.writeBigInt64LE(BigInt(value), 8 + index * 8);
      if (typeof arg === 'number') return;
      const size = Math.max(arg.bytes?.length ?? 0, arg.out ?? 0, 8);
      const place = Buffer.alloc(Math.ceil(size / 8) * 8);
      place.set(arg.bytes ?? []);
      if (arg.out !== undefined) out = used + arg.out;
      used += place.length;
      memory.push(place);
    });
    // What only comes back does not have to go there.
    const input = Buffer.concat(memory);
    const isOutOnly = args.every((arg) => typeof arg === 'number' || arg.bytes === undefined);
    const sent = isOutOnly ? input.subarray(0, 0) : input;
    request.writeBigInt64LE(BigInt(sent.length), 56);
    request.writeBigInt64LE(BigInt(out), 64);
    this.#port.write(Buffer.concat([request, sent]));
    const head = await this.#read(8);
    const bytes = out === 0 ? Buffer.alloc(0) : await this.#read(out);
    return { result: Number(head.readBigInt64LE()), bytes };
  }

  async #read(length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let left = length; left > 0; ) {
      const piece: Buffer | null = this.#port.read(Math.min(left, this.#port.readableLength));
      if (piece === null) await once(this.#port, 'readable');
      else {
        pieces.push(piece);
        left -= piece.length;
      }
    }
    return Buffer.concat(pieces);
  }
}
