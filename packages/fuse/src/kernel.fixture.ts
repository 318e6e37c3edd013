import assert from 'node:assert/strict';
import { encodeName, isPromise, viewOf } from '@anole/bytes';
import type { Tree, WritableTree } from '@anole/vfs';
import { type FuseOptions, FuseServer, type Reply } from './index.ts';
import { InitFlag } from './layout/flags.ts';
import { Opcode } from './layout/opcodes.ts';
import { Attr, AttrOut, Dirent, EntryOut, OutHeader } from './layout/replies.ts';
import { InHeader } from './layout/requests.ts';

export interface Answer {
  /** An errno, or 0. */
  readonly error: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Makes requests as a kernel does, and takes replies apart. */
export class Kernel {
  readonly server: FuseServer;
  /** Flags that the server agreed to, up to bit 31 and from there on. */
  agreed = 0;
  agreed2 = 0;
  uid = 0;
  gid = 0;
  pid = 1;
  #unique = 0;

  /** @param flags2 of a kernel that has more than 32 flags */
  constructor(
    tree: Tree | WritableTree,
    options?: FuseOptions,
    flags = -1 & ~InitFlag.INIT_EXT,
    flags2?: number,
  ) {
    this.server = new FuseServer(tree, options);
    const said = flags2 === undefined ? flags : flags | InitFlag.INIT_EXT;
    const short = u32(7, 38, 131072, said >>> 0);
    const args = flags2 === undefined ? short : join(short, u32(flags2), zeros(44));
    const { body, error } = this.ask('INIT', 0, args);
    assert.equal(error, 0);
    this.agreed = viewOf(body).getUint32(12, true);
    this.agreed2 = viewOf(body).getUint32(32, true);
  }

  /** The bytes of a request. */
  request(opcode: number, nodeid: number, args: Uint8Array): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(InHeader.size + args.length);
    InHeader.write(viewOf(bytes), 0, {
      length: bytes.length,
      opcode,
      uniqueLow: ++this.#unique,
      uniqueHigh: 0x12345678,
      nodeid: 0,
      uid: this.uid,
      gid: this.gid,
      pid: this.pid,
      extensionUnits: 0,
    });
    // Also what our own layout refuses to write.
    viewOf(bytes).setBigUint64(InHeader.offsets.nodeid, BigInt(nodeid), true);
    bytes.set(args, InHeader.size);
    return bytes;
  }

  /** Sends a request that is answered at once. */
  ask(name: keyof typeof Opcode, nodeid: number, args: Uint8Array = zeros(0)): Answer {
    const reply = this.server.handle(this.request(Opcode[name], nodeid, args));
    assert.ok(!isPromise(reply), `${name} is answered at once`);
    return this.#answer(reply);
  }

  async askSlow(name: keyof typeof Opcode, nodeid: number, args?: Uint8Array): Promise<Answer> {
    const request = this.request(Opcode[name], nodeid, args ?? new Uint8Array(0));
    return this.#answer(await this.server.handle(request), request);
  }

  /** Sends a request that has no reply. */
  tell(name: keyof typeof Opcode, nodeid: number, args: Uint8Array): void {
    assert.deepEqual(this.server.handle(this.request(Opcode[name], nodeid, args)), []);
  }

  #answer(reply: Reply, request?: Uint8Array): Answer {
    const bytes = new Uint8Array(reply.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of reply) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    const header = OutHeader.read(viewOf(bytes));
    assert.equal(header.length, bytes.length);
    assert.equal(header.uniqueLow, request ? viewOf(request).getUint32(8, true) : this.#unique);
    assert.equal(header.uniqueHigh, 0x12345678);
    return { error: Math.abs(header.error), body: bytes.slice(OutHeader.size) };
  }

  /** LOOKUP of a path from the root; the last node's entry. */
  walk(...path: string[]): { nodeid: number; attr: ReturnType<typeof attrOf>; error: number } {
    let found = {
      nodeid: 1,
      attr: attrOf(this.ask('GETATTR', 1, zeros(16)).body, AttrOut),
      error: 0,
    };
    for (const name of path) {
      const { body, error } = this.ask('LOOKUP', found.nodeid, string(name));
      if (error !== 0) return { ...found, nodeid: 0, error };
      found = { ...entryOf(body), error };
    }
    return found;
  }

  /** CREATE; the new node's number. */
  create(parent: number, name: string, mode = 0o644): number {
    const { body, error } = this.ask('CREATE', parent, join(u32(0, mode, 0, 0), string(name)));
    assert.equal(error, 0);
    return entryOf(body).nodeid;
  }

  mkdir(parent: number, name: string, mode = 0o755): number {
    const { body, error } = this.ask('MKDIR', parent, join(u32(mode, 0), string(name)));
    assert.equal(error, 0);
    return entryOf(body).nodeid;
  }

  write(nodeid: number, offset: number, data: Uint8Array, flags = 0): Answer {
    const args = join(u64(0, offset), u32(data.length, flags), u64(0), u32(0, 0), data);
    return this.ask('WRITE', nodeid, args);
  }

  read(nodeid: number, offset: number, size: number): Answer {
    return this.ask('READ', nodeid, join(u64(0, offset), u32(size, 0), u64(0), u32(0, 0)));
  }

  /** One READDIR: names and the positions behind them. */
  list(nodeid: number, offset = 0, size = 4096): (readonly [string, number])[] {
    const args = join(u64(0, offset), u32(size, 0), u64(0), u32(0, 0));
    const { body, error } = this.ask('READDIR', nodeid, args);
    assert.equal(error, 0);
    assert.ok(body.length <= size);
    return direntsOf(body, 0);
  }
}

export function direntsOf(body: Uint8Array, before: number): (readonly [string, number])[] {
  const found: (readonly [string, number])[] = [];
  for (let at = before; at < body.length; ) {
    const { nameLength, offset } = Dirent.read(viewOf(body), at);
    const name = body.subarray(at + Dirent.size, at + Dirent.size + nameLength);
    found.push([new TextDecoder().decode(name), offset]);
    at += before + ((Dirent.size + nameLength + 7) & ~7);
  }
  return found;
}

export function attrOf(body: Uint8Array, outer: typeof AttrOut | typeof EntryOut = AttrOut) {
  return Attr.read(viewOf(body), outer.offsets.attr);
}

export function entryOf(body: Uint8Array) {
  return { nodeid: EntryOut.read(viewOf(body)).nodeid, attr: attrOf(body, EntryOut) };
}

export function u32(...values: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 4);
  values.forEach((value, index) => {
    viewOf(bytes).setUint32(index * 4, value, true);
  });
  return bytes;
}

export function u64(...values: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 8);
  values.forEach((value, index) => {
    viewOf(bytes).setBigUint64(index * 8, BigInt(value), true);
  });
  return bytes;
}

export function zeros(count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(count);
}

export function string(text: string): Uint8Array<ArrayBuffer> {
  const bytes = encodeName(text);
  const out = new Uint8Array(bytes.length + 1);
  out.set(bytes);
  return out;
}

export function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The arguments of SETATTR. */
export function setattr(what: {
  valid: number;
  size?: number;
  mode?: number;
  uid?: number;
  mtime?: bigint;
  nanoseconds?: number;
}): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(88);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, what.valid, true);
  view.setBigUint64(16, BigInt(what.size ?? 0), true);
  view.setBigInt64(40, what.mtime ?? 0n, true);
  view.setUint32(60, what.nanoseconds ?? 0, true);
  view.setUint32(68, what.mode ?? 0, true);
  view.setUint32(76, what.uid ?? 0, true);
  return bytes;
}
