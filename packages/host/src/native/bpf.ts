import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HostError } from '../errors.ts';
import { addressOf, check, closeDescriptor, lastError, native } from './koffi.ts';

const syscall = native('long syscall(long number, int command, void *attributes, uint size)');

/** bpf(2) has no function in the C library. */
const BPF = process.arch === 'arm64' ? 280 : 321;

/** linux/bpf.h: enum bpf_cmd. */
const Command = {
  createMap: 0,
  lookUp: 1,
  update: 2,
  delete: 3,
  load: 5,
  createLink: 28,
} as const;
/** enum bpf_map_type, bpf_prog_type, bpf_attach_type. */
const MAP_LRU_HASH = 9;
const PROGRAM_SOCK_OPS = 13;
const ATTACH_SOCK_OPS = 3;
const LOG_BYTES = 64 << 10;

/** An attribute of bpf(2): fields of 32 and 64 bits at their offsets. */
function attributes(size: number, words: Readonly<Record<number, number | bigint>>): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [offset, value] of Object.entries(words)) {
    if (typeof value === 'bigint') view.setBigUint64(Number(offset), value, true);
    else view.setUint32(Number(offset), value, true);
  }
  return bytes;
}

function bpf(command: number, words: Readonly<Record<number, number | bigint>>, size = 64): number {
  const bytes = attributes(size, words);
  return syscall(BPF, command, bytes, bytes.length);
}

/** A table that a program in the kernel and this process share; the oldest entries make way. */
export class BpfTable implements Disposable {
  readonly fd: number;
  readonly #valueSize: number;

  /**
   * @param sizes bytes of a key and a value, and how many entries there are at most
   * @throws HostError `HOST_NOT_PERMITTED` without CAP_BPF
   */
  constructor(sizes: { readonly key: number; readonly value: number; readonly entries: number }) {
    const { key, value, entries } = sizes;
    const words = { 0: MAP_LRU_HASH, 4: key, 8: value, 12: entries };
    this.fd = check(bpf(Command.createMap, words), 'make a table of BPF');
    this.#valueSize = value;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.#valueSize);
    const words = { 0: this.fd, 8: addressOf(key), 16: addressOf(value) };
    const result = bpf(Command.lookUp, words);
    if (result < 0 && lastError() === 'ENOENT') return undefined;
    check(result, 'read a table of BPF');
    return value;
  }

  set(key: Uint8Array, value: Uint8Array): void {
    const words = { 0: this.fd, 8: addressOf(key), 16: addressOf(value) };
    check(bpf(Command.update, words), 'write a table of BPF');
  }

  /** Whether it was there. */
  delete(key: Uint8Array): boolean {
    return bpf(Command.delete, { 0: this.fd, 8: addressOf(key) }) >= 0;
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.fd);
  }
}

/** A program that the kernel runs for the TCP sockets of a control group, until it is disposed. */
export class SocketProgram implements Disposable {
  readonly #link: number;

  /**
   * @param instructions of `assembleBpf`
   * @param cgroup directory in a file system of type cgroup2
   * @throws HostError `HOST_NOT_PERMITTED` without CAP_BPF and CAP_NET_ADMIN; `HOST_IO` with what the
   * kernel has against the program in `details.log`
   */
  constructor(instructions: Uint8Array, cgroup: string) {
    const program = load(instructions);
    const directory = openSync(cgroup, 'r');
    try {
      const words = { 0: program, 4: directory, 8: ATTACH_SOCK_OPS };
      this.#link = check(bpf(Command.createLink, words), `attach a program of BPF to ${cgroup}`);
    } finally {
      closeSync(directory);
      closeDescriptor(program);
    }
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.#link);
  }
}

function load(instructions: Uint8Array): number {
  const license = Buffer.from('Apache-2.0\0');
  const log = new Uint8Array(LOG_BYTES);
  const words = {
    0: PROGRAM_SOCK_OPS,
    4: instructions.length / 8,
    8: addressOf(instructions),
    16: addressOf(license),
  };
  const first = bpf(Command.load, words, 72);
  if (first >= 0) return first;
  const code = lastError();
  if (code === 'EPERM') return check(first, 'load a program of BPF');
  // Once more, to hear why: with a log the kernel takes longer.
  bpf(Command.load, { ...words, 24: 1, 28: log.length, 32: addressOf(log) }, 72);
  const text = Buffer.from(log.subarray(0, log.indexOf(0))).toString();
  throw new HostError('HOST_IO', `Cannot load a program of BPF: ${code}`, {
    details: { log: text },
  });
}

/** The directory of this process's control group in cgroup2; undefined where that is not mounted. */
export function ownCgroup(): string | undefined {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const mount = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2');
  const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  return mount && path !== undefined ? join(mount[1]!, path) : undefined;
}
