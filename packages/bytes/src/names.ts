const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const loneEscape = /[\udc80-\udcff]/;

/**
 * A Linux file name as a string, without loss: valid UTF-8 is decoded; each byte of an invalid name
 * that is not part of valid UTF-8 becomes the lone surrogate U+DC00 + byte (as in Python's
 * PEP 383). {@link encodeName} is its inverse.
 */
export function decodeName(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return decodeEscaped(bytes);
  }
}

/** The bytes of a name made by {@link decodeName}, or of any well-formed string, in UTF-8. */
export function encodeName(name: string): Uint8Array {
  if (!loneEscape.test(name)) return encoder.encode(name);
  const out: number[] = [];
  for (const character of name) {
    const point = character.codePointAt(0)!;
    if (point >= 0xdc80 && point <= 0xdcff) out.push(point - 0xdc00);
    else out.push(...encoder.encode(character));
  }
  return Uint8Array.from(out);
}

function decodeEscaped(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) text += String.fromCharCode(0xdc00 + bytes[at]!);
    else text += decoder.decode(bytes.subarray(at, at + length));
    at += Math.max(length, 1);
  }
  return text;
}

/** Length of the valid UTF-8 sequence at `at`, or 0. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    decoder.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}
