import { bad, WireReader, WireType, WireWriter } from './wire.ts';

/** A kind of field at a number of its message. */
export interface Field<T> {
  readonly number: number;
  /** What the field is where the message does not have it. */
  initial(): T;
  /** The value after one more appearance of the field. */
  read(reader: WireReader, wire: number, before: T): T;
  write(writer: WireWriter, value: T): void;
}

/** A message of protocol buffers, version 3. */
export interface Message<T> {
  /** Fields that are left out have their initial values. */
  encode(value: Partial<T>): Uint8Array;
  /** Fields that are not known are passed over. @throws ContainerdError `CONTAINERD_BAD_MESSAGE` */
  decode(bytes: Uint8Array): T;
}

export type MessageOf<M> = M extends Message<infer T> ? T : never;

/**
 * Declares a message by its fields and their numbers.
 *
 * @example
 * const Mount = message({ type: string(1), source: string(2), options: repeated(string(4)) });
 * Mount.decode(Mount.encode({ type: 'bind' })).source; // ''
 */
export function message<T>(fields: { readonly [K in keyof T]: Field<T[K]> }): Message<Readonly<T>> {
  const all = Object.entries(fields) as [string, Field<unknown>][];
  const byNumber = new Map(all.map(([name, field]) => [field.number, [name, field] as const]));
  return {
    encode(value) {
      const writer = new WireWriter();
      for (const [name, field] of all) {
        const given = (value as Record<string, unknown>)[name];
        if (given !== undefined) field.write(writer, given);
      }
      return writer.finish();
    },
    decode(bytes) {
      const value = Object.fromEntries(all.map(([name, field]) => [name, field.initial()]));
      for (const reader = new WireReader(bytes); !reader.isAtEnd; ) {
        const { number, wire } = reader.tag();
        const known = byNumber.get(number);
        if (known === undefined) reader.skip(wire);
        else value[known[0]] = known[1].read(reader, wire, value[known[0]]);
      }
      return value as Readonly<T>;
    },
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** What a field of bytes has, in another form. */
function ofBytes<T>(
  number: number,
  empty: T,
  from: (bytes: Uint8Array) => T,
  to: (value: T) => Uint8Array,
): Field<T> {
  return {
    number,
    initial: () => empty,
    read: (reader, wire) => from(lengthed(reader, wire)),
    write(writer, value) {
      const bytes = to(value);
      if (bytes.length > 0) writer.bytes(number, bytes);
    },
  };
}

function lengthed(reader: WireReader, wire: number): Uint8Array {
  if (wire !== WireType.bytes) throw bad(`a field has the wire type ${wire} instead of 2`);
  return reader.bytes();
}

function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw bad('a text is not UTF-8');
  }
}

export function string(number: number): Field<string> {
  return ofBytes(number, '', text, (value) => new TextEncoder().encode(value));
}

/** What is decoded is a copy. */
export function bytes(number: number): Field<Uint8Array> {
  return ofBytes(
    number,
    new Uint8Array(0),
    (value) => value.slice(),
    (value) => value,
  );
}

/** `int32`, `int64` or an enumeration. Beyond ±(2^53 - 1) nothing is taken. */
export function int(number: number): Field<number> {
  return {
    number,
    initial: () => 0,
    read(reader, wire) {
      if (wire !== WireType.varint) throw bad(`a field has the wire type ${wire} instead of 0`);
      const value = Number(BigInt.asIntN(64, reader.varint()));
      if (!Number.isSafeInteger(value)) throw bad(`the number ${value} is too large`);
      return value;
    },
    write(writer, value) {
      if (value !== 0) writer.varint(number, BigInt(value));
    },
  };
}

export function bool(number: number): Field<boolean> {
  const asInt = int(number);
  return {
    number,
    initial: () => false,
    read: (reader, wire, _before) => asInt.read(reader, wire, 0) !== 0,
    write: (writer, value) => asInt.write(writer, value ? 1 : 0),
  };
}

/** A message in a message; undefined where it is left out. */
export function embedded<T>(number: number, type: Message<T>): Field<Partial<T> | undefined> {
  return {
    number,
    initial: () => undefined,
    read: (reader, wire) => type.decode(lengthed(reader, wire)) as Partial<T>,
    write(writer, value) {
      if (value !== undefined) writer.bytes(number, type.encode(value));
    },
  };
}

/** A list of texts. */
export function strings(number: number): Field<readonly string[]> {
  return list(number, text, (value) => new TextEncoder().encode(value));
}

/** A list of messages. */
export function messages<T>(number: number, type: Message<T>): Field<readonly Partial<T>[]> {
  return list<Partial<T>>(number, (each) => type.decode(each) as Partial<T>, type.encode);
}

function list<T>(
  number: number,
  from: (bytes: Uint8Array) => T,
  to: (value: T) => Uint8Array,
): Field<readonly T[]> {
  return {
    number,
    initial: () => [],
    read(reader, wire, before) {
      // Grown in place: copying it each time would make long lists slow.
      (before as T[]).push(from(lengthed(reader, wire)));
      return before;
    },
    write(writer, values) {
      for (const value of values) writer.bytes(number, to(value));
    },
  };
}

const Entry = message({ key: string(1), value: string(2) });

/** `map<string, string>`. */
export function labels(number: number): Field<Readonly<Record<string, string>>> {
  return {
    number,
    initial: () => Object.create(null) as Record<string, string>,
    read(reader, wire, before) {
      const { key, value } = Entry.decode(lengthed(reader, wire));
      (before as Record<string, string>)[key] = value;
      return before;
    },
    write(writer, value) {
      for (const [key, each] of Object.entries(value)) {
        writer.bytes(number, Entry.encode({ key, value: each }));
      }
    },
  };
}

const Timestamp = message({ seconds: int(1), nanos: int(2) });

/** `google.protobuf.Timestamp`, as milliseconds since 1970. */
export function timestamp(number: number): Field<number | undefined> {
  return {
    number,
    initial: () => undefined,
    read(reader, wire) {
      const { seconds, nanos } = Timestamp.decode(lengthed(reader, wire));
      return seconds * 1000 + Math.floor(nanos / 1e6);
    },
    write(writer, value) {
      if (value === undefined) return;
      const seconds = Math.floor(value / 1000);
      const nanos = Math.round((value - seconds * 1000) * 1e6);
      writer.bytes(number, Timestamp.encode({ seconds, nanos }));
    },
  };
}
