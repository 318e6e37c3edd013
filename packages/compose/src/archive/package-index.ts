import { type ControlFields, largestParagraph, parseParagraph } from './control.ts';
import { ArchiveError } from './errors.ts';
import { IndexedRecord } from './package-record.ts';
import type { PackageIndex, PackageRecord } from './types.ts';
import { compareVersions } from './version.ts';

/** One suite's and component's `Packages` file, decompressed. The index keeps `bytes`. */
export interface PackagesFile {
  readonly suite: string;
  readonly bytes: Uint8Array;
  /** From a suite that says `NotAutomatic: yes`: its versions come after all others. */
  readonly notAutomatic?: boolean;
}

/** Bytes one Packages file may have: Debian's largest has 60 MiB. */
export const largestIndex = 512 << 20;

/**
 * The packages of several `Packages` files. Only names and the places of paragraphs are read here
 * (80,000 paragraphs in a few hundred milliseconds); a record is made when it is asked for.
 *
 * @throws ArchiveError `ARCHIVE_BAD_CONTROL`, `ARCHIVE_TOO_LARGE`.
 */
export function parsePackageIndex(
  files: readonly PackagesFile[],
  architecture: string,
): PackageIndex {
  const index = new Index(architecture);
  for (const file of files) index.add(file);
  return index;
}

const decoder = new TextDecoder();

/** Where one paragraph is. */
interface Place {
  readonly file: PackagesFile;
  readonly start: number;
  readonly end: number;
  record?: IndexedRecord;
}

class Index implements PackageIndex {
  readonly architecture: string;
  size = 0;
  readonly #files: Place[][] = [];
  readonly #byName = new Map<string, Place[]>();
  readonly #providing = new Map<string, Place[]>();
  readonly #providers = new Map<string, readonly PackageRecord[]>();
  readonly #sorted = new Map<string, readonly PackageRecord[]>();

  constructor(architecture: string) {
    this.architecture = architecture;
  }

  add(file: PackagesFile): void {
    if (file.bytes.length > largestIndex) {
      throw new ArchiveError(
        'ARCHIVE_TOO_LARGE',
        `Cannot read package index: ${file.bytes.length} bytes are more than ${largestIndex}`,
      );
    }
    const text = asBuffer(file.bytes);
    const places: Place[] = [];
    const provides = new Finder(text, '\nProvides: ');
    for (let start = skipNewlines(text, 0); start < text.length; ) {
      const found = text.indexOf('\n\n', start);
      const end = found < 0 ? text.length : found;
      if (end - start > largestParagraph) throw badIndex(`a paragraph has ${end - start} bytes`);
      const place = { file, start, end };
      places.push(place);
      this.#addPlace(text, place, provides.next(start, end));
      start = skipNewlines(text, end);
    }
    if (places.length > 0) this.#files.push(places);
  }

  #addPlace(text: Buffer, place: Place, provides: string | undefined): void {
    this.size++;
    push(this.#byName, packageName(text, place), place);
    if (provides === undefined) return;
    for (const part of provides.split(',')) push(this.#providing, virtualName(part), place);
  }

  versions(name: string): readonly PackageRecord[] {
    let sorted = this.#sorted.get(name);
    if (sorted === undefined) {
      const places = this.#byName.get(name) ?? [];
      sorted = newestFirst(places.map((place) => this.#recordAt(place)));
      if (places.length > 0) this.#sorted.set(name, sorted);
    }
    return sorted;
  }

  get(name: string, version?: string): PackageRecord | undefined {
    const versions = this.versions(name);
    if (version === undefined) return versions[0];
    return versions.find((record) => compareVersions(record.version, version) === 0);
  }

  providers(name: string): readonly PackageRecord[] {
    let providers = this.#providers.get(name);
    if (providers === undefined) {
      const records = (this.#providing.get(name) ?? []).map((place) => this.#recordAt(place));
      providers = [...new Set(records)]
        .filter((record) => this.get(record.name) === record)
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      if (records.length > 0) this.#providers.set(name, providers);
    }
    return providers;
  }

  having(field: string, value: string): readonly PackageRecord[] {
    const records = this.#files.flatMap((places) => this.#having(places, `\n${field}: ${value}`));
    return records
      .filter((record) => this.get(record.name) === record && record.fields.get(field) === value)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #having(places: readonly Place[], needle: string): PackageRecord[] {
    const text = asBuffer(places[0]!.file.bytes);
    const finder = new Finder(text, needle);
    const found = places.filter((place) => finder.next(place.start, place.end) !== undefined);
    return found.map((place) => this.#recordAt(place));
  }

  *[Symbol.iterator](): Iterator<PackageRecord> {
    for (const name of [...this.#byName.keys()].sort()) yield this.versions(name)[0]!;
  }

  #recordAt(place: Place): PackageRecord {
    place.record ??= this.#makeRecord(place);
    return place.record;
  }

  #makeRecord({ file, start, end }: Place): IndexedRecord {
    const fields: ControlFields = parseParagraph(decoder.decode(file.bytes.subarray(start, end)));
    return new IndexedRecord(fields, file.suite, this.architecture, file.notAutomatic === true);
  }
}

/** Finds a field in paragraph after paragraph with one pass over the text. */
class Finder {
  readonly #text: Buffer;
  readonly #needle: string;
  #at: number;

  constructor(text: Buffer, needle: string) {
    this.#text = text;
    this.#needle = needle;
    this.#at = text.indexOf(needle);
  }

  /** The field's value in [start, end), as Latin-1; calls must come with rising ranges. */
  next(start: number, end: number): string | undefined {
    while (this.#at >= 0 && this.#at < start) this.#advance(start);
    if (this.#at < 0 || this.#at >= end) return undefined;
    const from = this.#at + this.#needle.length;
    const newline = this.#text.indexOf(10, from);
    const value = this.#text.toString('latin1', from, newline < 0 || newline > end ? end : newline);
    this.#advance(from);
    return value;
  }

  #advance(from: number): void {
    this.#at = this.#text.indexOf(this.#needle, from);
  }
}

const packageField = Buffer.from('Package: ');

function packageName(text: Buffer, { start, end }: Place): string {
  const newline = text.indexOf(10, start);
  const lineEnd = newline < 0 || newline > end ? end : newline;
  const from = start + packageField.length;
  const isFirst = lineEnd > from && text.compare(packageField, 0, 9, start, from) === 0;
  if (isFirst) return text.toString('latin1', from, lineEnd);
  const name = parseParagraph(text.toString('utf8', start, end)).get('Package');
  if (!name) throw badIndex(`a paragraph at byte ${start} names no package`);
  return name;
}

function virtualName(provided: string): string {
  return /^\s*([^\s:(]*)/.exec(provided)![1]!;
}

function newestFirst(records: PackageRecord[]): readonly PackageRecord[] {
  if (records.length < 2) return records;
  const rank = (record: PackageRecord) => ((record as IndexedRecord).notAutomatic ? 1 : 0);
  records.sort((a, b) => rank(a) - rank(b) || compareVersions(b.version, a.version));
  const isNew = (record: PackageRecord, at: number) =>
    at === 0 || compareVersions(records[at - 1]!.version, record.version) !== 0;
  return records.filter(isNew);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function skipNewlines(text: Buffer, from: number): number {
  let at = from;
  while (at < text.length && text[at] === 10) at++;
  return at;
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function badIndex(why: string): ArchiveError {
  return new ArchiveError('ARCHIVE_BAD_CONTROL', `Cannot read package index: ${why}`);
}
