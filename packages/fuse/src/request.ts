import { type Cursor, decodeName, type Fields, type Struct, viewOf } from '@anole/bytes';
import { badRequest, Errno, refused } from './errors.ts';
import { InHeader } from './layout/requests.ts';

const MAX_NAME = 255;
const nothing: readonly Uint8Array[] = [];

/** One request, checked to be as long as it says. Its bytes alias the transport's memory. */
export class Request {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** What follows `bytes`, where the transport holds the request in pieces. */
  readonly more: readonly Uint8Array[];
  readonly opcode: number;
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  readonly uid: number;
  readonly gid: number;

  constructor(bytes: Uint8Array, more: readonly Uint8Array[] = nothing) {
    this.bytes = bytes;
    this.more = more;
    this.view = viewOf(bytes);
    const header = InHeader.at(this.view);
    this.opcode = header.opcode;
    this.uniqueLow = header.uniqueLow;
    this.uniqueHigh = header.uniqueHigh;
    this.uid = header.uid;
    this.gid = header.gid;
  }

  /** @throws FuseError `FUSE_BAD_REQUEST` where the length said is not the length there. */
  checkLength(): void {
    let length = this.bytes.length;
    for (const piece of this.more) length += piece.length;
    const said = InHeader.at(this.view).length;
    if (said !== length) throw badRequest(`${said} bytes were said to come, ${length} came`);
  }

  /** The process that asked, in the guest. */
  get pid(): number {
    return InHeader.at(this.view).pid;
  }

  get nodeid(): number {
    return InHeader.at(this.view).nodeid;
  }

  /** The request's arguments, behind the header. */
  args<F extends Fields>(layout: Struct<F>): Cursor<F> {
    return layout.at(this.view, InHeader.size);
  }

  /** The name that begins at `at`, as an entry of a directory may be called. */
  name(at: number): string {
    return nameOf(this.#string(at));
  }

  /** Two names, one behind the other. */
  names(at: number): [string, string] {
    const first = this.#string(at);
    const second = this.#string(at + first.length + 1);
    return [nameOf(first), nameOf(second)];
  }

  /** Text that need not be a name: the target of a link, an attribute's name. */
  text(at: number): { readonly value: string; readonly end: number } {
    const bytes = this.#string(at);
    return { value: decodeName(bytes), end: at + bytes.length + 1 };
  }

  /** Bytes up to the NUL. */
  #string(at: number): Uint8Array {
    const end = this.bytes.indexOf(0, at);
    if (end < 0) throw badRequest('a name has no end');
    return this.bytes.subarray(at, end);
  }

  /** Exactly `length` bytes from `at` on, in pieces that alias the request. */
  data(at: number, length: number): readonly Uint8Array[] {
    const inside = this.bytes.subarray(at, at + length);
    if (inside.length === length) return [inside];
    const pieces = inside.length === 0 ? [] : [inside];
    let missing = length - inside.length;
    for (const piece of this.more) {
      if (missing === 0) break;
      const part = piece.length > missing ? piece.subarray(0, missing) : piece;
      pieces.push(part);
      missing -= part.length;
    }
    if (missing > 0) throw badRequest(`${missing} of ${length} bytes of data are missing`);
    return pieces;
  }
}

/** The kernel refuses most such names itself; a hostile one must not reach the tree. */
function nameOf(bytes: Uint8Array): string {
  const name = decodeName(bytes);
  if (name === '' || name === '.' || name === '..' || name.includes('/')) {
    throw badRequest(`${JSON.stringify(name)} is no name`);
  }
  if (bytes.length > MAX_NAME) throw refused(Errno.ENAMETOOLONG, `a name of ${bytes.length} bytes`);
  return name;
}
