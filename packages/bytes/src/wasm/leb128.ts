/** LEB128 integers (Core spec, "Binary Format: Values"). The arrays given may be shared. */

const small: readonly (readonly number[])[] = Array.from({ length: 128 }, (_, value) => [value]);

export function unsigned(value: number): readonly number[] {
  if (value < 128) return small[value]!;
  const out: number[] = [];
  let rest = value;
  do {
    const more = rest > 0x7f;
    out.push((rest % 128) | (more ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return out;
}

export function signed(value: bigint | number): readonly number[] {
  if (value >= -64 && value < 64) return small[Number(value) & 0x7f]!;
  return typeof value === 'number' ? signedNumber(value) : signedBig(value);
}

/** Of 32 bits. */
function signedNumber(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const last = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
    out.push(last ? byte : byte | 0x80);
    if (last) return out;
  }
}

function signedBig(value: bigint): number[] {
  const out: number[] = [];
  let rest = value;
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const last = (rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0);
    out.push(last ? byte : byte | 0x80);
    if (last) return out;
  }
}

/** The same for an int32, without bigints: constants of 32 bits are most of what is written. */
export function signed32(value: number): number[] {
  const out: number[] = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const last = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
    out.push(last ? byte : byte | 0x80);
    if (last) return out;
  }
}
