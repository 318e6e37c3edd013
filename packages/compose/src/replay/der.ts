/** One element of DER (X.690): its tag byte and its contents, which alias the input. */
export interface DerItem {
  readonly tag: number;
  readonly value: Uint8Array;
}

/** The elements that bytes are a sequence of; undefined where they are no such thing. */
export function derItems(bytes: Uint8Array | undefined): readonly DerItem[] | undefined {
  if (bytes === undefined) return undefined;
  const items: DerItem[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]!;
    const first = bytes[at + 1];
    if (first === undefined) return undefined;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (lengthBytes > 4) return undefined;
    let length = lengthBytes === 0 ? first : 0;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
    const start = at + 2 + lengthBytes;
    if (start + length > bytes.length) return undefined;
    items.push({ tag, value: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return items;
}

export function encodeDer(tag: number, value: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let rest = value.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
  const head = value.length < 0x80 ? [tag, value.length] : [tag, 0x80 | length.length, ...length];
  const bytes = new Uint8Array(head.length + value.length);
  bytes.set(head);
  bytes.set(value, head.length);
  return bytes;
}
