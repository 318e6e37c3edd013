import { decodeName, viewOf } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';

/** What a program says that it needs: elf(5), ld.so(8). */
export interface ElfNeeds {
  /** The dynamic loader; libraries have none. */
  readonly interpreter?: string;
  /** Names of libraries. */
  readonly libraries: readonly string[];
  /** Directories where to look for them first. */
  readonly directories: readonly string[];
  /** The processor: 62 is x86-64. */
  readonly machine: number;
  /** What of the file is read by who starts it, as far as that can be told: ranges in rising order. */
  readonly parts: readonly ElfPart[];
}

export interface ElfPart {
  readonly offset: number;
  readonly length: number;
}

const MAGIC = [0x7f, 0x45, 0x4c, 0x46];
/** 64 bits, least significant byte first: all processors that matter. */
const CLASS_64 = 2;
const LITTLE = 1;
const HEADER = 64;
const PROGRAM_HEADER = 56;
/** Of what others say, so much is read at most: headers, bytes of the dynamic section, of a name. */
const MAX_HEADERS = 256;
const MAX_DYNAMIC = 64 * 1024;
const MAX_PATH = 4096;
const MAX_LIBRARIES = 1024;
const MAX_DIRECTORIES = 64;
/** Names that are read together. */
const TOGETHER = 64;

/** p_type */
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
/** d_tag */
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_STRSZ = 10;
const DT_RPATH = 15;
const DT_RUNPATH = 29;

/** PF_ */
const EXECUTABLE = 1;
const WRITABLE = 2;
/** Files that are taken whole, and the largest segments of code, of constants, and of what the loader reads. Bytes. */
const WHOLE = 1024 * 1024;
const MAX_CODE = 8 * 1024 * 1024;
const MAX_CONSTANTS = 4 * 1024 * 1024;
const MAX_LOADED = 16 * 1024 * 1024;

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/** Bytes of the largest segments that are read whole. */
export interface PartBounds {
  /** Default 8 MiB. */
  readonly code?: number;
  /** Default 4 MiB. */
  readonly constants?: number;
}

/** How many names may still be read, of libraries and directories, in characters. */
export interface NamesLeft {
  characters: number;
}

/**
 * Reads what an ELF file needs. Undefined for what is none, or makes no sense: nobody is to be stopped by it.
 *
 * @param left what was read is taken off; where nothing is left, there are no more names
 */
export async function elfNeeds(
  file: TreeNode,
  left: NamesLeft,
  most: PartBounds = {},
): Promise<ElfNeeds | undefined> {
  const header = await exactly(file, 0, HEADER);
  if (header === undefined || MAGIC.some((byte, at) => header[at] !== byte)) return undefined;
  if (header[4] !== CLASS_64 || header[5] !== LITTLE) return undefined;
  const view = viewOf(header);
  const machine = view.getUint16(18, true);
  const segments = await segmentsOf(file, view);
  if (segments === undefined) return undefined;
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  const path = interpreter && (await textAt(file, interpreter.offset, interpreter.size));
  const dynamic = await dynamicOf(file, segments, left);
  return {
    machine,
    parts: partsOf(file.stat.size, segments, most),
    libraries: await dynamic.texts([DT_NEEDED], MAX_LIBRARIES),
    directories: (await dynamic.texts([DT_RUNPATH, DT_RPATH], MAX_DIRECTORIES))
      .flatMap((list) => list.split(':'))
      .filter((each) => each !== '')
      .slice(0, MAX_DIRECTORIES),
    ...(path && { interpreter: path }),
  };
}

async function segmentsOf(
  file: TreeNode,
  header: DataView,
): Promise<readonly Segment[] | undefined> {
  const start = Number(header.getBigUint64(32, true));
  const size = header.getUint16(54, true);
  const count = Math.min(header.getUint16(56, true), MAX_HEADERS);
  if (size !== PROGRAM_HEADER) return undefined;
  const bytes = await exactly(file, start, count * size);
  if (bytes === undefined) return undefined;
  const view = viewOf(bytes);
  return Array.from({ length: count }, (_, index) => {
    const at = index * size;
    return {
      type: view.getUint32(at, true),
      flags: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 8, true)),
      address: Number(view.getBigUint64(at + 16, true)),
      size: Number(view.getBigUint64(at + 32, true)),
    };
  });
}

/**
 * The loader reads what is relocated, and the tables for that, which lie in the first segment. Of much code, and of
 * large tables of constants, a start reads here and there.
 */
function partsOf(
  size: number,
  segments: readonly Segment[],
  { code = MAX_CODE, constants = MAX_CONSTANTS }: PartBounds,
): readonly ElfPart[] {
  if (size <= WHOLE) return [{ offset: 0, length: size }];
  const parts: ElfPart[] = [];
  for (const { type, flags, offset, size: length } of segments) {
    const isInside = Number.isSafeInteger(offset) && offset + length <= size;
    if (type !== PT_LOAD || !isInside || length === 0) continue;
    const isCode = (flags & EXECUTABLE) !== 0;
    const isLoaded = (flags & WRITABLE) !== 0 || (offset === 0 && !isCode);
    const most = isLoaded ? MAX_LOADED : isCode ? code : constants;
    if (length <= most) parts.push({ offset, length });
    else if (offset === 0) parts.push({ offset, length: WHOLE });
  }
  return parts;
}

/** Texts of a dynamic section. */
interface Dynamic {
  /** Those of some tags, the first tag's first, so many at most. */
  texts(tags: readonly number[], most: number): Promise<readonly string[]>;
}

const none: Dynamic = { texts: async () => [] };

async function dynamicOf(
  file: TreeNode,
  segments: readonly Segment[],
  left: NamesLeft,
): Promise<Dynamic> {
  const section = segments.find(({ type }) => type === PT_DYNAMIC);
  if (section === undefined) return none;
  const bytes = await exactly(file, section.offset, Math.min(section.size, MAX_DYNAMIC));
  if (bytes === undefined) return none;
  const view = viewOf(bytes);
  const entries: [tag: number, value: number][] = [];
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const value = Number(view.getBigUint64(at + 8, true));
    entries.push([Number(view.getBigInt64(at, true)), value]);
  }
  const valueBy = (tag: number) => entries.find(([each]) => each === tag)?.[1];
  const address = valueBy(DT_STRTAB);
  const place = segments.find(
    ({ type, address: from, size }) =>
      type === PT_LOAD && address !== undefined && address >= from && address < from + size,
  );
  const size = valueBy(DT_STRSZ) ?? 0;
  if (place === undefined || address === undefined) return none;
  // Of the table, which has the names of all symbols, just what is named: it may have megabytes.
  const start = place.offset + address - place.address;
  return {
    async texts(tags, most) {
      const chosen = tags.flatMap((tag) => entries.filter(([each]) => each === tag));
      const texts: string[] = [];
      for (let at = 0; at < Math.min(chosen.length, most) && left.characters > 0; at += TOGETHER) {
        const some = chosen.slice(at, Math.min(at + TOGETHER, most)).map(async ([, offset]) => {
          const length = Math.min(MAX_PATH, size - offset);
          return length > 0 ? await textAt(file, start + offset, length) : undefined;
        });
        const read = (await Promise.all(some)).filter((text) => text !== undefined);
        for (const { length } of read) left.characters -= length;
        texts.push(...read);
      }
      return texts;
    },
  };
}

async function textAt(file: TreeNode, offset: number, size: number): Promise<string | undefined> {
  const bytes = await exactly(file, offset, Math.min(size, MAX_PATH));
  return bytes && textIn(bytes, 0);
}

/** Up to the next zero. */
function textIn(bytes: Uint8Array, offset: number): string {
  const part = bytes.subarray(offset, offset + MAX_PATH);
  const end = part.indexOf(0);
  return decodeName(end < 0 ? part : part.subarray(0, end));
}

/** A copy of bytes that the file must have. */
async function exactly(
  file: TreeNode,
  offset: number,
  length: number,
): Promise<Uint8Array | undefined> {
  const isInside = Number.isSafeInteger(offset) && offset + length <= file.stat.size;
  return isInside ? new Uint8Array(await file.read(offset, length)) : undefined;
}
