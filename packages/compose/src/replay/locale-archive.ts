import { encodeName } from '@anole/bytes';
import type { Rootfs } from './rootfs.ts';

const directory = '/usr/lib/locale';
const archive = `${directory}/locale-archive`;

/** Categories in the order of their numbers (glibc, locale.h); the seventh is LC_ALL. */
const categories = [
  'LC_CTYPE',
  'LC_NUMERIC',
  'LC_TIME',
  'LC_COLLATE',
  'LC_MONETARY',
  'LC_MESSAGES/SYS_LC_MESSAGES',
  'LC_ALL',
  'LC_PAPER',
  'LC_NAME',
  'LC_ADDRESS',
  'LC_TELEPHONE',
  'LC_MEASUREMENT',
  'LC_IDENTIFICATION',
] as const;
const all = categories.indexOf('LC_ALL');

/**
 * Puts the locale that `LANG` names into glibc's archive of locales, where its files are in the image and
 * no archive is: a program that calls setlocale opens one file then, instead of trying twenty-six.
 * localedef(1) does it as `--add-to-archive`.
 */
export async function archiveLocale(rootfs: Rootfs, lang: string | undefined): Promise<void> {
  const name = lang && archiveName(lang);
  if (!name || rootfs.at(archive) !== undefined) return;
  const parts: Uint8Array[] = [];
  for (const [number, category] of categories.entries()) {
    const bytes =
      number === all ? undefined : await rootfs.bytes(`${directory}/${name}/${category}`);
    if (number !== all && bytes === undefined) return;
    parts.push(bytes ?? new Uint8Array(0));
  }
  rootfs.write(archive, encodeLocaleArchive(name, parts));
}

/** The name by which glibc looks a locale up: its codeset in small letters and digits alone. */
function archiveName(lang: string): string | undefined {
  const [, locale, codeset, modifier = ''] = /^(\w+)\.([\w-]+)(@\w+)?$/.exec(lang) ?? [];
  if (locale === undefined || codeset === undefined) return undefined;
  return `${locale}.${codeset.toLowerCase().replace(/[^a-z0-9]/g, '')}${modifier}`;
}

const MAGIC = 0xde020109;
const HEADER = 56;
/** Places of the tables: prime numbers above two, so that a search comes by each of them. */
const PLACES = 7;
const NAME_ENTRY = 12;
const SUM_ENTRY = 20;
const RECORD = 4 + 8 * categories.length;
/** Data that is mapped is read as words. */
const ALIGNMENT = 16;

const aligned = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

/**
 * The bytes of an archive with one locale: header, names by their hash, the names' text, records that say
 * where each category is, an empty table of sums, data. glibc, locale/locarchive.h.
 *
 * @param parts contents by the category's number; that of LC_ALL is not looked at
 */
export function encodeLocaleArchive(name: string, parts: readonly Uint8Array[]): Uint8Array {
  const text = encodeName(`${name}\0`);
  const namesAt = HEADER;
  const textAt = namesAt + PLACES * NAME_ENTRY;
  const recordAt = aligned(textAt + text.length);
  const sumsAt = recordAt + RECORD;
  const dataAt = aligned(sumsAt + PLACES * SUM_ENTRY);
  const places: number[] = [];
  let end = dataAt;
  for (const part of parts) {
    places.push(end);
    end = aligned(end + part.length);
  }
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  const words = (at: number, ...values: readonly number[]): void => {
    for (const [index, value] of values.entries()) view.setUint32(at + 4 * index, value, true);
  };
  words(0, MAGIC, 0);
  // Of each table its offset, and how much of it is used, of how much there is.
  words(8, namesAt, 1, PLACES);
  words(20, textAt, text.length, recordAt - textAt);
  words(32, recordAt, RECORD, RECORD);
  words(44, sumsAt, 0, PLACES);
  const hash = hashOf(text.subarray(0, -1));
  words(namesAt + NAME_ENTRY * (hash % PLACES), hash, textAt, recordAt);
  bytes.set(text, textAt);
  view.setUint32(recordAt, 1, true);
  for (const [number, part] of parts.entries()) {
    const isAll = number === all;
    const length = isAll ? end - dataAt : part.length;
    words(recordAt + 4 + 8 * number, isAll ? dataAt : places[number]!, length);
    if (!isAll) bytes.set(part, places[number]!);
  }
  return bytes;
}

/** glibc, locale/hashval.h, in 32 bits. Never 0. */
function hashOf(key: Uint8Array): number {
  let hash = key.length;
  for (const byte of key) hash = (((hash << 9) | (hash >>> 23)) + byte) >>> 0;
  return hash === 0 ? 0xffffffff : hash;
}
