import { AnoleError } from './errors.ts';

/**
 * How one value lies in bytes. `little` is the byte order of the structure around it, which a field
 * that has its own ({@link be}, {@link le}) ignores.
 */
export interface Field<T> {
  readonly size: number;
  get(view: DataView, offset: number, little: boolean): T;
  /** @throws AnoleError `STRUCT_BAD_VALUE` where the value does not fit. */
  set(view: DataView, offset: number, value: T, little: boolean): void;
  /** Byte order of its own. */
  readonly little?: boolean;
  /** Names the kinds that cursors read without a call through the field. */
  readonly scalar?: 'u8' | 'u16' | 'u32' | 'i32' | 'u64';
  readonly pad?: true;
}

/** Bytes that carry nothing: not in values, zeros when written. */
export interface Pad extends Field<undefined> {
  readonly pad: true;
}

export const u8: Field<number> = {
  size: 1,
  scalar: 'u8',
  get: (view, at) => view.getUint8(at),
  set: (view, at, value) => view.setUint8(at, inRange('u8', value, 0, 0xff)),
};

export const u16: Field<number> = {
  size: 2,
  scalar: 'u16',
  get: (view, at, little) => view.getUint16(at, little),
  set: (view, at, value, little) => view.setUint16(at, inRange('u16', value, 0, 0xffff), little),
};

export const u32: Field<number> = {
  size: 4,
  scalar: 'u32',
  get: (view, at, little) => view.getUint32(at, little),
  set: (view, at, value, little) =>
    view.setUint32(at, inRange('u32', value, 0, 0xffffffff), little),
};

/** 64 bits as a bigint. Where the value is a size or an offset, {@link u53} is several times faster. */
export const u64: Field<bigint> = {
  size: 8,
  scalar: 'u64',
  get: (view, at, little) => view.getBigUint64(at, little),
  set: (view, at, value, little) =>
    view.setBigUint64(at, bigInRange('u64', value, 0n, 0xffff_ffff_ffff_ffffn), little),
};

/**
 * 64 bits as a number of at most 2^53 - 1.
 *
 * @throws AnoleError `STRUCT_BAD_VALUE` where the bytes hold more.
 */
export const u53: Field<number> = {
  size: 8,
  get(view, at, little) {
    const high = view.getUint32(little ? at + 4 : at, little);
    const low = view.getUint32(little ? at : at + 4, little);
    if (high > 0x1fffff) badValue('u53', view.getBigUint64(at, little), at);
    return high * 0x1_0000_0000 + low;
  },
  set(view, at, value, little) {
    inRange('u53', value, 0, Number.MAX_SAFE_INTEGER);
    view.setUint32(little ? at + 4 : at, Math.floor(value / 0x1_0000_0000), little);
    view.setUint32(little ? at : at + 4, value % 0x1_0000_0000, little);
  },
};

export const i8: Field<number> = {
  size: 1,
  get: (view, at) => view.getInt8(at),
  set: (view, at, value) => view.setInt8(at, inRange('i8', value, -0x80, 0x7f)),
};

export const i16: Field<number> = {
  size: 2,
  get: (view, at, little) => view.getInt16(at, little),
  set: (view, at, value, little) =>
    view.setInt16(at, inRange('i16', value, -0x8000, 0x7fff), little),
};

export const i32: Field<number> = {
  size: 4,
  scalar: 'i32',
  get: (view, at, little) => view.getInt32(at, little),
  set: (view, at, value, little) =>
    view.setInt32(at, inRange('i32', value, -0x8000_0000, 0x7fff_ffff), little),
};

export const i64: Field<bigint> = {
  size: 8,
  get: (view, at, little) => view.getBigInt64(at, little),
  set: (view, at, value, little) =>
    view.setBigInt64(at, bigInRange('i64', value, -(2n ** 63n), 2n ** 63n - 1n), little),
};

/**
 * 64 bits, signed, as a safe integer: times.
 *
 * @throws AnoleError `STRUCT_BAD_VALUE` where the bytes hold a number beyond ±(2^53 - 1).
 */
export const i53: Field<number> = {
  size: 8,
  get(view, at, little) {
    const value =
      view.getInt32(little ? at + 4 : at, little) * 0x1_0000_0000 +
      view.getUint32(little ? at : at + 4, little);
    if (!Number.isSafeInteger(value)) badValue('i53', view.getBigInt64(at, little), at);
    return value;
  },
  set(view, at, value, little) {
    inRange('i53', value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    view.setInt32(little ? at + 4 : at, Math.floor(value / 0x1_0000_0000), little);
    view.setUint32(little ? at : at + 4, value >>> 0, little);
  },
};

/** `count` bytes. Reading copies them; writing takes exactly that many. */
export function bytes(count: number): Field<Uint8Array> {
  return {
    size: count,
    get: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, count).slice(),
    set(view, at, value) {
      if (value.length !== count) badValue(`bytes(${count})`, `${value.length} bytes`);
      new Uint8Array(view.buffer, view.byteOffset + at, count).set(value);
    },
  };
}

/** `count` values of one kind after each other. Reading copies them. */
export function array<T>(field: Field<T>, count: number): Field<readonly T[]> {
  return {
    size: field.size * count,
    get: (view, at, little) =>
      Array.from({ length: count }, (_, index) => field.get(view, at + index * field.size, little)),
    set(view, at, values, little) {
      if (values.length !== count) badValue(`array of ${count}`, `${values.length} values`);
      values.forEach((value, index) => {
        field.set(view, at + index * field.size, value, little);
      });
    },
  };
}

/** Reserved bytes. */
export function pad(count: number): Pad {
  return {
    size: count,
    pad: true,
    get: () => undefined,
    set(view, at) {
      new Uint8Array(view.buffer, view.byteOffset + at, count).fill(0);
    },
  };
}

/** The field in big-endian order, whatever the structure around it has. */
export function be<T>(field: Field<T>): Field<T> {
  return ordered(field, false);
}

/** The field in little-endian order, whatever the structure around it has. */
export function le<T>(field: Field<T>): Field<T> {
  return ordered(field, true);
}

function ordered<T>(field: Field<T>, little: boolean): Field<T> {
  return {
    ...field,
    little,
    get: (view, at) => field.get(view, at, little),
    set: (view, at, value) => field.set(view, at, value, little),
  };
}

/** @throws AnoleError `STRUCT_BAD_VALUE` */
export function inRange(kind: string, value: number, min: number, max: number): number {
  if (!(Number.isInteger(value) && value >= min && value <= max)) badValue(kind, value);
  return value;
}

function bigInRange(kind: string, value: bigint, min: bigint, max: bigint): bigint {
  if (value < min || value > max) badValue(kind, value);
  return value;
}

function badValue(kind: string, value: unknown, offset?: number): never {
  const where = offset === undefined ? '' : ` at offset ${offset}`;
  throw new AnoleError('STRUCT_BAD_VALUE', `Cannot take ${value} as ${kind}${where}`, {
    details: { kind, value: String(value), ...(offset === undefined ? {} : { offset }) },
  });
}

export function outOfRange(name: string, size: number, view: DataView, offset: number): never {
  throw new AnoleError(
    'STRUCT_OUT_OF_RANGE',
    `Cannot place ${name} (${size} bytes) at offset ${offset}: ${view.byteLength} bytes are there`,
    { details: { name, size, offset, available: view.byteLength } },
  );
}
