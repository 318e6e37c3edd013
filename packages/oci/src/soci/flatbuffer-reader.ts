import { OciError } from '../errors.ts';

/** Elements of a vector at most: of a table of contents its files. */
const MAX_ELEMENTS = 4_000_000;

/**
 * A table of a FlatBuffer of foreign origin; fields are told by their number in the schema. Each place
 * is checked before it is read. Source: flatbuffers.dev/internals.
 *
 * @throws OciError `OCI_BAD_INDEX` in every getter
 */
export class FlatTable {
  private readonly view: DataView;
  private readonly at: number;
  private readonly fields: number;
  private readonly fieldsEnd: number;

  private constructor(view: DataView, at: number) {
    this.view = view;
    this.at = at;
    this.fields = at - view.getInt32(this.inside(at, 4), true);
    this.fieldsEnd = this.fields + view.getUint16(this.inside(this.fields, 4), true);
    this.inside(this.fields, this.fieldsEnd - this.fields);
  }

  static root(bytes: Uint8Array): FlatTable {
    if (bytes.length < 8) throw outside();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return new FlatTable(view, view.getUint32(0, true));
  }

  u8(field: number, missing = 0): number {
    const at = this.place(field, 1);
    return at === undefined ? missing : this.view.getUint8(at);
  }

  u32(field: number, missing = 0): number {
    const at = this.place(field, 4);
    return at === undefined ? missing : this.view.getUint32(at, true);
  }

  /** A count of 64 bits, 0 to 2^53 - 1. */
  count(field: number): number {
    const at = this.place(field, 8);
    if (at === undefined) return 0;
    const value = Number(this.view.getBigInt64(at, true));
    if (value < 0 || !Number.isSafeInteger(value)) throw bad(`it has the count ${value}`);
    return value;
  }

  table(field: number): FlatTable | undefined {
    const at = this.reference(field);
    return at === undefined ? undefined : new FlatTable(this.view, at);
  }

  /** The bytes of a vector or a text; empty where it is missing. They alias the buffer. */
  bytes(field: number): Uint8Array {
    const at = this.reference(field);
    return at === undefined ? new Uint8Array(0) : this.bytesAt(at);
  }

  /** A vector of texts, as their bytes. */
  texts(field: number): Uint8Array[] {
    return this.elements(field, (at) => this.bytesAt(at));
  }

  tables(field: number): FlatTable[] {
    return this.elements(field, (at) => new FlatTable(this.view, at));
  }

  private elements<T>(field: number, read: (at: number) => T): T[] {
    const start = this.reference(field);
    if (start === undefined) return [];
    const count = this.view.getUint32(this.inside(start, 4), true);
    if (count > MAX_ELEMENTS) throw bad(`a list of it has ${count} elements`);
    this.inside(start + 4, count * 4);
    return Array.from({ length: count }, (_, at) => read(this.follow(start + 4 + at * 4)));
  }

  private bytesAt(at: number): Uint8Array {
    const length = this.view.getUint32(this.inside(at, 4), true);
    const { buffer, byteOffset } = this.view;
    return new Uint8Array(buffer, byteOffset + this.inside(at + 4, length), length);
  }

  private reference(field: number): number | undefined {
    const at = this.place(field, 4);
    return at === undefined ? undefined : this.follow(at);
  }

  private follow(at: number): number {
    return this.inside(at + this.view.getUint32(at, true), 4);
  }

  /** Where a field lies, undefined where it is missing. */
  private place(field: number, size: number): number | undefined {
    const entry = this.fields + 4 + field * 2;
    if (entry + 2 > this.fieldsEnd) return undefined;
    const offset = this.view.getUint16(entry, true);
    return offset === 0 ? undefined : this.inside(this.at + offset, size);
  }

  private inside(at: number, size: number): number {
    if (at >= 0 && size >= 0 && at + size <= this.view.byteLength) return at;
    throw outside();
  }
}

function outside(): OciError {
  return bad('it refers to what lies outside of it');
}

function bad(why: string): OciError {
  return new OciError('OCI_BAD_INDEX', `Cannot read the index of a layer: ${why}`);
}
