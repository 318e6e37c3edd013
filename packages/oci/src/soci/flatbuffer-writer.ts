/**
 * Writes a FlatBuffer from its end to its beginning, as the reference builders do: the same calls give
 * the same bytes as theirs. Places are counted from the end. Source: flatbuffers.dev/internals.
 */
export class FlatWriter {
  private buffer = new Uint8Array(1024);
  private head = this.buffer.length;
  private alignment = 1;
  /** Places of the lists of fields that have been written: equal ones are shared. */
  private readonly lists = new Map<string, number>();
  private fields: number[] = [];
  private tableEnd = 0;

  /** A text; its bytes are followed by a zero. */
  text(bytes: Uint8Array): number {
    this.align(4, bytes.length + 1);
    this.put(1, 0);
    return this.counted(bytes, bytes.length);
  }

  bytes(bytes: Uint8Array): number {
    this.align(4, bytes.length);
    return this.counted(bytes, bytes.length);
  }

  /** A vector of references to what has been written. */
  references(places: readonly number[]): number {
    this.align(4, 4 * places.length);
    for (const place of places.toReversed()) this.reference(place);
    return this.counted(new Uint8Array(0), places.length);
  }

  /** Begins a table: its fields follow, then `endTable`. */
  startTable(fields: number): void {
    this.fields = new Array<number>(fields).fill(0);
    this.tableEnd = this.offset;
  }

  /** A number of 1, 4 or 8 bytes; the default is not written. */
  number(field: number, size: 1 | 4 | 8, value: number, missing = 0): void {
    if (value === missing) return;
    this.align(size, 0);
    this.put(size, value);
    this.fields[field] = this.offset;
  }

  /** A reference to what has been written. */
  refer(field: number, place: number): void {
    this.reference(place);
    this.fields[field] = this.offset;
  }

  endTable(): number {
    this.align(4, 0);
    this.put(4, 0);
    const table = this.offset;
    const fields = this.fields.slice(0, this.fields.findLastIndex((place) => place !== 0) + 1);
    const offsets = fields.map((place) => (place === 0 ? 0 : table - place));
    // The size of the table is not compared.
    const key = offsets.join();
    const known = this.lists.get(key);
    const list = known ?? this.fieldList(offsets, table - this.tableEnd);
    this.lists.set(key, list);
    this.view().setInt32(this.buffer.length - table, list - table, true);
    return table;
  }

  /** Ends with the root. The result is the writer's own memory. */
  finish(root: number): Uint8Array {
    this.align(this.alignment, 4);
    this.reference(root);
    return this.buffer.subarray(this.head);
  }

  private get offset(): number {
    return this.buffer.length - this.head;
  }

  private fieldList(offsets: readonly number[], tableSize: number): number {
    for (const offset of offsets.toReversed()) this.put(2, offset);
    this.put(2, tableSize);
    this.put(2, (offsets.length + 2) * 2);
    return this.offset;
  }

  private counted(bytes: Uint8Array, count: number): number {
    this.head -= bytes.length;
    this.buffer.set(bytes, this.head);
    this.put(4, count);
    return this.offset;
  }

  private reference(place: number): void {
    this.align(4, 0);
    this.put(4, this.offset - place + 4);
  }

  private put(size: 1 | 2 | 4 | 8, value: number): void {
    if (this.head < size) this.grow(size);
    this.head -= size;
    const view = this.view();
    if (size === 1) view.setUint8(this.head, value);
    else if (size === 2) view.setUint16(this.head, value, true);
    else if (size === 4) view.setUint32(this.head, value, true);
    else view.setBigInt64(this.head, BigInt(value), true);
  }

  /** Makes what is `size` bytes large aligned, once so many bytes more are before it. */
  private align(size: number, more: number): void {
    this.alignment = Math.max(this.alignment, size);
    const padding = -(this.offset + more) & (size - 1);
    this.grow(padding + more + size);
    this.head -= padding;
  }

  private grow(room: number): void {
    if (this.head >= room) return;
    const used = this.buffer.subarray(this.head);
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, used.length + room));
    larger.set(used, larger.length - used.length);
    this.buffer = larger;
    this.head = larger.length - used.length;
  }

  private view(): DataView {
    return new DataView(this.buffer.buffer);
  }
}
