import { AnoleError } from './errors.ts';
import { type Field, inRange, outOfRange, type Pad } from './fields.ts';

/** What a {@link struct} is declared from. Fields lie one after the other, without gaps. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

type ValueKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends Pad ? never : K;
}[keyof F];

/** The plain object that a structure's bytes stand for. Padding is left out. */
export type ValueOf<F extends Fields> = {
  [K in ValueKeys<F>]: F[K] extends Field<infer T> ? T : never;
};

/**
 * A window on one structure in memory: its properties read and write the bytes themselves. Cursors
 * copy nothing; nested structures, byte fields and arrays give a copy or a window as their field
 * says.
 */
export type Cursor<F extends Fields> = ValueOf<F> & {
  readonly $view: DataView;
  /** Where in the view the structure begins. */
  readonly $offset: number;
  /** Moves this cursor, so that a loop over records needs only one. Checks the range. */
  $move(offset: number): void;
};

/** A structure of fixed size, declared once. It is a field too: structures nest. */
export interface Struct<F extends Fields> extends Field<ValueOf<F>> {
  readonly name: string;
  readonly offsets: Readonly<Record<keyof F, number>>;
  /** @throws AnoleError `STRUCT_OUT_OF_RANGE` where the structure does not lie inside the view. */
  at(view: DataView, offset?: number): Cursor<F>;
  /** Bytes to a plain object. Byte fields are copies. */
  read(view: DataView, offset?: number): ValueOf<F>;
  /** A plain object to bytes; padding becomes zeros. */
  write(view: DataView, offset: number, value: ValueOf<F>): void;
  decode(bytes: Uint8Array, offset?: number): ValueOf<F>;
  encode(value: ValueOf<F>): Uint8Array;
}

export interface StructOptions {
  /** Byte order of all fields that do not say their own. Little unless told. */
  readonly endian?: 'little' | 'big';
}

/**
 * Declares a structure. `size` is what the format's specification says: a declaration that does
 * not add up raises `STRUCT_BAD_DECLARATION` when the module loads.
 *
 * @example
 * const Dirent = struct('erofs_dirent', 12, { nid: u64, nameOffset: u16, type: u8, reserved: pad(1) });
 * const dirent = Dirent.at(viewOf(block), 12);
 * dirent.nameOffset; // no copy, no object beside the cursor
 */
export function struct<F extends Fields>(
  name: string,
  size: number,
  fields: F,
  options: StructOptions = {},
): Struct<F> {
  const little = options.endian !== 'big';
  const offsets = layOut(name, size, fields);
  const CursorOf = cursorClass(name, size, fields, offsets, little);
  const entries = Object.entries(fields).map(([key, field]) => ({ key, field, at: offsets[key]! }));
  const valued = entries.filter(({ field }) => field.pad !== true);
  const get = (view: DataView, offset: number): ValueOf<F> => {
    const value: Record<string, unknown> = {};
    for (const { key, field, at } of valued) value[key] = field.get(view, offset + at, little);
    return value as ValueOf<F>;
  };
  const set = (view: DataView, offset: number, value: ValueOf<F>): void => {
    const values = value as Record<string, unknown>;
    for (const { key, field, at } of entries) field.set(view, offset + at, values[key], little);
  };
  return {
    name,
    size,
    offsets: offsets as Record<keyof F, number>,
    get,
    set,
    at: (view, offset = 0) => new CursorOf(view, offset) as unknown as Cursor<F>,
    read(view, offset = 0) {
      checkInside(name, size, view, offset);
      return get(view, offset);
    },
    write(view, offset, value) {
      checkInside(name, size, view, offset);
      set(view, offset, value);
    },
    decode(bytes, offset = 0) {
      return this.read(viewOf(bytes), offset);
    },
    encode(value) {
      const bytes = new Uint8Array(size);
      set(viewOf(bytes), 0, value);
      return bytes;
    },
  };
}

/** A DataView of exactly the memory of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function layOut(name: string, size: number, fields: Fields): Record<string, number> {
  const offsets: Record<string, number> = {};
  let end = 0;
  for (const [key, field] of Object.entries(fields)) {
    offsets[key] = end;
    end += field.size;
  }
  if (end === size) return offsets;
  throw new AnoleError(
    'STRUCT_BAD_DECLARATION',
    `Cannot declare ${name}: its fields take ${end} bytes, not ${size}`,
    { details: { name, size, fields: end } },
  );
}

/** A class of its own per structure: the properties of one shape stay fast. */
function cursorClass(
  name: string,
  size: number,
  fields: Fields,
  offsets: Record<string, number>,
  little: boolean,
): new (
  view: DataView,
  offset: number,
) => object {
  class StructCursor {
    readonly $view: DataView;
    $offset: number;
    constructor(view: DataView, offset: number) {
      checkInside(name, size, view, offset);
      this.$view = view;
      this.$offset = offset;
    }
    $move(offset: number): void {
      checkInside(name, size, this.$view, offset);
      this.$offset = offset;
    }
  }
  for (const [key, field] of Object.entries(fields)) {
    if (field.pad === true) continue;
    const at = offsets[key]!;
    Object.defineProperty(StructCursor.prototype, key, {
      enumerable: true,
      get: getter(field, at, little),
      set: setter(field, at, little),
    });
  }
  return StructCursor;
}

interface Positioned {
  readonly $view: DataView;
  readonly $offset: number;
}

/**
 * One function literal per kind: the engine keeps type feedback per literal, so a getter that
 * called `field.get` for every kind would be megamorphic and several times slower.
 */
function getter(field: Field<unknown>, at: number, structLittle: boolean): () => unknown {
  const little = field.little ?? structLittle;
  switch (field.scalar) {
    case 'u8':
      return function (this: Positioned) {
        return this.$view.getUint8(this.$offset + at);
      };
    case 'u16':
      return function (this: Positioned) {
        return this.$view.getUint16(this.$offset + at, little);
      };
    case 'u32':
      return function (this: Positioned) {
        return this.$view.getUint32(this.$offset + at, little);
      };
    case 'i32':
      return function (this: Positioned) {
        return this.$view.getInt32(this.$offset + at, little);
      };
    case 'u64':
      return function (this: Positioned) {
        return this.$view.getBigUint64(this.$offset + at, little);
      };
    default:
      return function (this: Positioned) {
        return field.get(this.$view, this.$offset + at, structLittle);
      };
  }
}

/** As {@link getter}: of what hot paths write. */
function setter(
  field: Field<unknown>,
  at: number,
  structLittle: boolean,
): (value: unknown) => void {
  const little = field.little ?? structLittle;
  switch (field.scalar) {
    case 'u8':
      return function (this: Positioned, value) {
        this.$view.setUint8(this.$offset + at, inRange('u8', value as number, 0, 0xff));
      };
    case 'u16':
      return function (this: Positioned, value) {
        const number = inRange('u16', value as number, 0, 0xffff);
        this.$view.setUint16(this.$offset + at, number, little);
      };
    case 'u32':
      return function (this: Positioned, value) {
        const number = inRange('u32', value as number, 0, 0xffffffff);
        this.$view.setUint32(this.$offset + at, number, little);
      };
    default:
      return function (this: Positioned, value) {
        field.set(this.$view, this.$offset + at, value, structLittle);
      };
  }
}

function checkInside(name: string, size: number, view: DataView, offset: number): void {
  if (offset >= 0 && offset + size <= view.byteLength && Number.isInteger(offset)) return;
  outOfRange(name, size, view, offset);
}
