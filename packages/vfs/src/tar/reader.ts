import { decodeName, type Flow, flow, isPromise, type Source, wait } from '@anole/bytes';
import { attributesOf, countOf, linkTarget, textOf } from './attributes.ts';
import { Body, fillHoles, padding } from './body.ts';
import type { TarEntry, TarOptions } from './entry.ts';
import { atMember, TarError } from './errors.ts';
import {
  type Header,
  hasBody,
  ignoredFlags,
  isZeroBlock,
  memberType,
  parseHeader,
} from './header.ts';
import { openInput, type TarInput } from './input.ts';
import { BLOCK, typeFlag } from './layout.ts';
import { memberPath } from './paths.ts';
import { mergePax, type PaxRecord, parsePax } from './pax.ts';
import {
  checkMap,
  readMap00,
  readMap01,
  readMap10,
  readOldMap,
  type SparseMap,
  sparseForm,
} from './sparse.ts';

const DEFAULT_MAX_METADATA = 4 * 1024 * 1024;
/** Bytes of global PAX records: they are gone through once more for each entry. */
const MAX_GLOBAL = 64 * 1024;

/**
 * Reads a tar archive: v7, ustar, GNU and PAX, from a stream or from a Source. Of a Source, only
 * headers and the bodies asked for are read.
 *
 * Chunks given by a stream pass to the reader: bodies alias them, so their maker must not reuse
 * them, unless `lent` says so. The input is read to its end (so that a decompressor before it checks its trailer), but
 * for an iteration that is left early.
 *
 * @throws TarError, in `details.position` the byte at which the member begins, or where in it reading ended
 * @example
 * for await (const entry of readTar(stream)) {
 *   if (entry.type === 'file') console.log(entry.path, (await entry.storedBytes()).length);
 * }
 */
export async function* readTar(
  from: AsyncIterable<Uint8Array> | Source,
  options: TarOptions = {},
): AsyncGenerator<TarEntry, void, undefined> {
  const input = openInput(from, options.lent ?? false);
  const reader = new Reader(input, options.maxMetadata ?? DEFAULT_MAX_METADATA);
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const { position } = input;
      let entry: TarEntry | undefined;
      try {
        const next = flow(() => reader.next());
        entry = isPromise(next) ? await next : next;
      } catch (error) {
        throw atMember(error, position);
      }
      if (entry === undefined) break;
      yield entry;
      const done = reader.finish();
      if (isPromise(done)) await done;
    }
    await input.drain();
  } finally {
    await input.close();
  }
}

/** What the headers before an entry's own said about it. */
interface Announced {
  longName?: string;
  longLink?: string;
  pax: PaxRecord[];
  /** Bytes of metadata so far. */
  size: number;
}

class Reader {
  private readonly input: TarInput;
  private readonly maxMetadata: number;
  private global: ReadonlyMap<string, Uint8Array> = new Map();
  private body: Body | undefined;

  constructor(input: TarInput, maxMetadata: number) {
    this.input = input;
    this.maxMetadata = maxMetadata;
  }

  finish() {
    const body = this.body;
    this.body = undefined;
    return body?.finish();
  }

  /** The next entry, undefined at the end of the archive. */
  *next(): Flow<TarEntry | undefined> {
    const announced: Announced = { pax: [], size: 0 };
    const headerOffset = this.input.position;
    for (;;) {
      const position = this.input.position;
      const block = yield* wait(this.input.take(BLOCK));
      if (block === undefined && announced.size > 0) {
        throw new TarError(
          'TAR_TRUNCATED',
          'Cannot read the tar: it ends before a member it announced',
        );
      }
      if (block === undefined || isZeroBlock(block)) return undefined;
      const found = parseHeader(block, position);
      if (ignoredFlags.has(found.flag)) {
        yield* wait(this.input.skip(found.size + padding(found.size)));
      } else if (!(yield* this.announce(found, announced))) {
        return yield* this.member(found, block, announced, headerOffset);
      }
    }
  }

  /** Takes in a header that speaks about the next one. False where it is a member itself. */
  private *announce(found: Header, announced: Announced): Flow<boolean> {
    switch (found.flag) {
      case typeFlag.gnuLongName:
        announced.longName = untilNul(yield* this.metadata(found, announced));
        return true;
      case typeFlag.gnuLongLink:
        announced.longLink = untilNul(yield* this.metadata(found, announced));
        return true;
      case typeFlag.pax:
      case typeFlag.solarisPax:
        // Not spread into one push: a header may hold more records than a call takes arguments.
        for (const record of parsePax(yield* this.metadata(found, announced))) {
          announced.pax.push(record);
        }
        return true;
      case typeFlag.paxGlobal: {
        const records = parsePax(yield* this.metadata(found, announced));
        this.global = mergePax(this.global, records);
        const size = paxSize(this.global);
        if (size > MAX_GLOBAL) throw metadataTooLarge(size);
        return true;
      }
      default:
        return false;
    }
  }

  private *metadata(found: Header, announced: Announced): Flow<Uint8Array> {
    announced.size += found.size + BLOCK;
    if (announced.size > this.maxMetadata) throw metadataTooLarge(announced.size);
    const padded = found.size + padding(found.size);
    if (padded === 0) return new Uint8Array(0);
    const bytes = yield* wait(this.input.take(padded));
    if (bytes === undefined)
      throw new TarError('TAR_TRUNCATED', 'Cannot read the tar: it ends within a header');
    return bytes.subarray(0, found.size);
  }

  private *member(
    found: Header,
    block: Uint8Array,
    announced: Announced,
    headerOffset: number,
  ): Flow<TarEntry> {
    const pax = announced.pax.length === 0 ? this.global : mergePax(this.global, announced.pax);
    // Sparse files keep theirs apart: `path` is one for tars that do not know them.
    const name =
      textOf(pax, 'GNU.sparse.name') ?? textOf(pax, 'path') ?? announced.longName ?? found.name;
    const type = memberType(found.flag, name);
    let stored = hasBody(found.flag, type) ? (countOf(pax, 'size') ?? found.size) : 0;
    const map = type === 'file' ? yield* this.map(found, block, pax, announced, stored) : undefined;
    if (map) stored -= map.mapSize;
    const sparse = map && checkMap(map, stored);
    const dataOffset = this.input.position;
    const body = new Body(this.input, stored);
    this.body = body;
    const extents = sparse?.extents;
    const size = type === 'file' ? (sparse?.size ?? stored) : 0;
    return {
      name,
      path: memberPath(name),
      type,
      ...attributesOf(type, found, pax),
      size,
      target: linkTarget(type, name, textOf(pax, 'linkpath') ?? announced.longLink ?? found.link),
      ...(extents && { extents }),
      pax,
      headerOffset,
      dataOffset,
      storedSize: stored,
      body: () => (extents ? fillHoles(body, extents, size) : body.pieces()),
      stored: () => body.pieces(),
      storedBytes: () => body.all(),
    };
  }

  private *map(
    found: Header,
    block: Uint8Array,
    pax: ReadonlyMap<string, Uint8Array>,
    announced: Announced,
    stored: number,
  ): Flow<(SparseMap & { readonly mapSize: number }) | undefined> {
    if (found.flag === typeFlag.gnuSparse) {
      return { ...(yield* readOldMap(block, this.input, this.maxMetadata)), mapSize: 0 };
    }
    if (pax.size === 0) return undefined;
    const form = sparseForm(pax);
    if (form === undefined) return undefined;
    const size = countOf(pax, 'GNU.sparse.realsize') ?? countOf(pax, 'GNU.sparse.size') ?? stored;
    if (form === '1.0') return yield* readMap10(this.input, stored, size, this.maxMetadata);
    const map =
      form === '0.1' ? readMap01(pax.get('GNU.sparse.map')!, size) : readMap00(announced.pax, size);
    return { ...map, mapSize: 0 };
  }
}

function metadataTooLarge(size: number): TarError {
  return new TarError(
    'TAR_TOO_LARGE',
    `Cannot read the tar: ${size} bytes of headers for one member`,
  );
}

function paxSize(pax: ReadonlyMap<string, Uint8Array>): number {
  let size = 0;
  for (const [key, value] of pax) size += key.length + value.length;
  return size;
}

function untilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeName(end < 0 ? bytes : bytes.subarray(0, end));
}
