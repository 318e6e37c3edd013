import { ContainerdError } from '../errors.ts';
import type { Snapshot } from './snapshot.ts';

/** Characters of a filter at most. */
const MAX_FILTER = 8192;
/** Characters of a pattern at most: it is matched without a bound on time. */
const MAX_PATTERN = 256;

type Test = (snapshot: Snapshot) => boolean;

/**
 * Whether a snapshot is one of those that a list is asked for. Of a filter all conditions must hold; of
 * several filters one. A condition is a field with `==`, `!=` or `~=` (a regular expression) and a value, or
 * the field alone, which must not be empty (containerd, package `filters`).
 *
 * @param parentOf the name of a snapshot's parent
 * @throws ContainerdError `CONTAINERD_BAD_REQUEST`
 * @example
 * filterOf(['labels."containerd.io/snapshot.ref"==sha256:1234,kind==Committed'], parentOf);
 */
export function filterOf(
  filters: readonly string[],
  parentOf: (snapshot: Snapshot) => string,
): Test {
  if (filters.length === 0) return () => true;
  const all = filters.map((text) => new FilterParser(text, parentOf).parse());
  return (snapshot) => all.some((tests) => tests.every((test) => test(snapshot)));
}

class FilterParser {
  readonly #text: string;
  readonly #parentOf: (snapshot: Snapshot) => string;
  #at = 0;

  constructor(text: string, parentOf: (snapshot: Snapshot) => string) {
    if (text.length > MAX_FILTER) throw wrong(`${text.slice(0, 80)}…`, 'it is too long');
    this.#text = text;
    this.#parentOf = parentOf;
  }

  parse(): readonly Test[] {
    if (this.#text.trim() === '') return [];
    const tests = [this.#condition()];
    while (this.#take(/\s*,\s*/y)) tests.push(this.#condition());
    if (this.#at < this.#text.length) throw wrong(this.#text, this.#here());
    return tests;
  }

  #condition(): Test {
    const path = [this.#name()];
    while (this.#take(/\./y)) path.push(this.#name());
    const fieldOf = this.#field(path);
    const operator = this.#take(/\s*(==|!=|~=)\s*/y)?.trim();
    if (operator === undefined) return (snapshot) => (fieldOf(snapshot) ?? '') !== '';
    const value = this.#value();
    if (operator === '==') return (snapshot) => fieldOf(snapshot) === value;
    if (operator === '!=') return (snapshot) => fieldOf(snapshot) !== value;
    const pattern = this.#pattern(value);
    return (snapshot) => pattern.test(fieldOf(snapshot) ?? '');
  }

  #field(path: readonly string[]): (snapshot: Snapshot) => string | undefined {
    const [field, ...rest] = path;
    if (field === 'labels' && rest.length > 0) return ({ labels }) => labels[rest.join('.')];
    if (rest.length === 0 && field === 'name') return ({ name }) => name;
    if (rest.length === 0 && field === 'parent') return this.#parentOf;
    if (rest.length === 0 && field === 'kind') {
      return ({ kind }) => kind.charAt(0).toUpperCase() + kind.slice(1);
    }
    throw wrong(this.#text, `there is no field ${path.join('.')}`);
  }

  #name(): string {
    return this.#quoted() ?? this.#take(/[A-Za-z_]\w*/y) ?? this.#fail();
  }

  #value(): string {
    return this.#quoted() ?? this.#take(/[^\s,"]+/y) ?? this.#fail();
  }

  /** As Go quotes texts, of which JSON's form is a part. */
  #quoted(): string | undefined {
    const text = this.#take(/"(?:[^"\\]|\\.)*"/y);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as string;
    } catch {
      throw wrong(this.#text, `${text} is no text`);
    }
  }

  #pattern(text: string): RegExp {
    if (text.length > MAX_PATTERN) throw wrong(this.#text, 'the pattern is too long');
    try {
      return new RegExp(text, 'u');
    } catch {
      throw wrong(this.#text, `${text} is no pattern`);
    }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fail(): never {
    throw wrong(this.#text, this.#here());
  }

  #here(): string {
    return `it makes no sense at character ${this.#at}`;
  }
}

function wrong(filter: string, why: string): ContainerdError {
  return new ContainerdError(
    'CONTAINERD_BAD_REQUEST',
    `Cannot use the filter ${JSON.stringify(filter)}: ${why}`,
  );
}
