import { cut } from './digest.ts';
import { type OciCode, OciError } from './errors.ts';

/** What is read: for messages, and the code of what is wrong in it. */
export interface Subject {
  readonly what: string;
  readonly code: OciCode;
}

/** Nesting beyond which a document is refused: none of ours goes deeper than a few. */
const MAX_DEPTH = 64;
/** Bytes of JSON. Brackets and braces differ in one bit, and no other byte of UTF-8 is like them. */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CURLY = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/** A JSON object of foreign origin. Every getter raises the subject's code for what does not fit. */
export class JsonObject {
  readonly raw: Readonly<Record<string, unknown>>;
  private readonly subject: Subject;

  constructor(raw: unknown, subject: Subject) {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
      throw wrong(subject, 'it is no JSON object');
    }
    this.raw = raw as Record<string, unknown>;
    this.subject = subject;
  }

  string(name: string): string {
    return this.optionalString(name) ?? this.missing(name);
  }

  /** Undefined where it is absent, null, or empty. */
  optionalString(name: string): string | undefined {
    const value = this.field(name);
    if (value === undefined || value === '') return undefined;
    if (typeof value !== 'string') throw this.wrong(name, 'no text');
    return value;
  }

  /** A count of bytes or the like: 0 to 2^53 - 1. */
  count(name: string): number {
    const value = this.field(name) ?? this.missing(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw this.wrong(name, 'no count');
    }
    return value;
  }

  object(name: string): JsonObject {
    return this.optionalObject(name) ?? this.missing(name);
  }

  optionalObject(name: string): JsonObject | undefined {
    const value = this.field(name);
    return value === undefined ? undefined : new JsonObject(value, this.below(name));
  }

  /** The objects of a list; empty where it is absent. */
  objects(name: string): JsonObject[] {
    const { subject } = this;
    return this.list(name).map((item, at) => new JsonObject(item, new Below(subject, name, at)));
  }

  /** The texts of a list; undefined where it is absent. */
  strings(name: string): readonly string[] | undefined {
    if (this.field(name) === undefined) return undefined;
    return this.list(name).map((item) => {
      if (typeof item !== 'string') throw this.wrong(name, 'no list of texts');
      return item;
    });
  }

  /** An object whose values are texts; undefined where it is absent. */
  texts(name: string): Readonly<Record<string, string>> | undefined {
    const object = this.optionalObject(name);
    if (object === undefined) return undefined;
    for (const value of Object.values(object.raw)) {
      if (typeof value !== 'string') throw this.wrong(name, 'no table of texts');
    }
    return object.raw as Record<string, string>;
  }

  /** The field's own subject: for errors raised about its value. */
  wrong(name: string, why: string): OciError {
    return wrong(this.subject, `its field ${JSON.stringify(name)} is ${why}`);
  }

  private list(name: string): readonly unknown[] {
    const value = this.field(name);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.wrong(name, 'no list');
    return value;
  }

  private field(name: string): unknown {
    return Object.hasOwn(this.raw, name) ? (this.raw[name] ?? undefined) : undefined;
  }

  private missing(name: string): never {
    throw this.wrong(name, 'missing');
  }

  private below(name: string): Subject {
    return new Below(this.subject, name);
  }
}

/** A part of a document: what it is called is made when it is said. */
class Below implements Subject {
  private readonly above: Subject;
  private readonly name: string;
  private readonly index: number | undefined;

  constructor(above: Subject, name: string, index?: number) {
    this.above = above;
    this.name = name;
    this.index = index;
  }

  get code(): OciCode {
    return this.above.code;
  }

  get what(): string {
    const at = this.index === undefined ? '' : `[${this.index}]`;
    return `${this.above.what}, ${this.name}${at}`;
  }
}

function wrong({ what, code }: Subject, why: string): OciError {
  return new OciError(code, `Cannot read ${cut(what)}: ${why}`);
}

/** Parses a document of foreign origin, whose size the caller has bounded. */
export function parseJson(bytes: Uint8Array, subject: Subject): JsonObject {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new OciError(subject.code, `Cannot read ${subject.what}: it is no UTF-8`, { cause });
  }
  checkDepth(bytes, subject);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new OciError(subject.code, `Cannot read ${subject.what}: it is no JSON`, { cause });
  }
  return new JsonObject(value, subject);
}

/** Before parsing: what nests deeply overflows the stacks of those who walk it. */
function checkDepth(bytes: Uint8Array, subject: Subject): void {
  let depth = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (isText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isText = false;
    } else if (byte === QUOTE) isText = true;
    else if ((byte | CURLY) === OPENING) depth++;
    else if ((byte | CURLY) === CLOSING) depth--;
    if (depth > MAX_DEPTH) throw wrong(subject, `it nests over ${MAX_DEPTH} levels`);
  }
}
