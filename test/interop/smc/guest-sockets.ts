import { getSystemErrorMap } from 'node:util';
import type { CallResult, Memory, SystemCalls } from './system-calls.ts';

/** Numbers of system calls on riscv64. */
const Call = {
  close: 57,
  socket: 198,
  bind: 200,
  listen: 201,
  accept: 202,
  connect: 203,
  sendto: 206,
  recvfrom: 207,
  shutdown: 210,
} as const;

export const Family = { inet: 2, netlink: 16, smc: 43 } as const;
export const Flag = { urgent: 1 } as const;
const PIECE = 64 << 10;
const SHUT_WR = 1;

/** Sockets in the guest. What fails there raises an error with the name that C has for it. */
export class GuestSockets {
  readonly #calls: SystemCalls;

  constructor(calls: SystemCalls) {
    this.#calls = calls;
  }

  async #call(name: keyof typeof Call, ...args: readonly (number | Memory)[]): Promise<CallResult> {
    const answer = await this.#calls.call(Call[name], ...args);
    if (answer.result >= 0) return answer;
    const [code] = getSystemErrorMap().get(answer.result) ?? [`error ${answer.result}`];
    throw Object.assign(new Error(`${name} in the guest: ${code}`), { code });
  }

  async socket(family: number, type = 1, protocol = 0): Promise<number> {
    return (await this.#call('socket', family, type, protocol)).result;
  }

  /** A socket that listens on all addresses. */
  async listen(family: number, port: number): Promise<number> {
    const fd = await this.socket(family);
    const name = addressBytes('0.0.0.0', port);
    await this.#call('bind', fd, { bytes: name }, name.length);
    await this.#call('listen', fd, 8);
    return fd;
  }

  async accept(fd: number): Promise<number> {
    return (await this.#call('accept', fd, 0, 0)).result;
  }

  async connect(family: number, address: string, port: number): Promise<number> {
    const fd = await this.socket(family);
    const name = addressBytes(address, port);
    await this.#call('connect', fd, { bytes: name }, name.length);
    return fd;
  }

  /** Sends all of it; a piece goes with each call. */
  async send(fd: number, bytes: Uint8Array, flags = 0): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + PIECE);
      at += (await this.#call('sendto', fd, { bytes: piece }, piece.length, flags, 0, 0)).result;
    }
  }

  /** What is there; waits for the first byte, and is empty at the end. */
  async receive(fd: number, limit = PIECE, flags = 0): Promise<Buffer> {
    const { result, bytes } = await this.#call('recvfrom', fd, { out: limit }, limit, flags, 0, 0);
    return bytes.subarray(0, result);
  }

  /** So many bytes, or what comes until the end. */
  async receiveAll(fd: number, length = Infinity): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let count = 0;
    while (count < length) {
      const piece = await this.receive(fd, Math.min(PIECE, length - count));
      if (piece.length === 0) break;
      pieces.push(piece);
      count += piece.length;
    }
    return Buffer.concat(pieces);
  }

  /** Sends no more. */
  async shutdown(fd: number): Promise<void> {
    await this.#call('shutdown', fd, SHUT_WR);
  }

  async close(fd: number): Promise<void> {
    await this.#call('close', fd);
  }
}

/** struct sockaddr_in. */
function addressBytes(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(Family.inet, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}
