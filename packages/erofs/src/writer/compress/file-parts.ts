import type { Inode } from '../inode.ts';
import type { FileRange } from '../options.ts';
import type { FileBuilder, PiecePlace, StoredPart } from './file-builder.ts';
import type { CompressedPiece } from './piece.ts';

/** Smaller files are not cut: what lies around is as much. */
const CUT_LEAST = 64 * 1024;
/** Ranges with at most so many bytes between are one: each of them ends a pcluster before it is full. */
const GAP = 8 * 1024;

/** What of a file is wanted first, and the rest: whole blocks but for the file's end, in rising order. */
export interface CutFile {
  readonly inode: Inode;
  readonly variant: number;
  readonly wanted: readonly FileRange[];
  readonly rest: readonly FileRange[];
}

/** Cuts a file into what is wanted of it and the rest; undefined where that is not worth it. */
export function cutFile(
  inode: Inode,
  variant: number,
  ranges: readonly FileRange[] | undefined,
  blockSize: number,
): CutFile | undefined {
  const { size } = inode;
  if (ranges === undefined || size < CUT_LEAST) return undefined;
  const wanted = joined(ranges, size, blockSize);
  const rest: FileRange[] = [];
  let at = 0;
  for (const [start, end] of wanted) {
    if (start > at) rest.push([at, start]);
    at = end;
  }
  if (at < size) rest.push([at, size]);
  return wanted.length > 0 && rest.length > 0 ? { inode, variant, wanted, rest } : undefined;
}

/** Ranges in blocks, in rising order, those that are near each other made one. */
function joined(ranges: readonly FileRange[], size: number, blockSize: number): FileRange[] {
  const all: [number, number][] = [];
  const sorted = ranges
    .map(([start, end]): FileRange => {
      const first = Math.floor(Math.max(start, 0) / blockSize) * blockSize;
      return [first, Math.min(Math.ceil(end / blockSize) * blockSize, size)];
    })
    .filter(([start, end]) => start < end)
    .sort((a, b) => a[0] - b[0]);
  for (const [start, end] of sorted) {
    const last = all.at(-1);
    if (last && start <= last[1] + GAP) last[1] = Math.max(last[1], end);
    else all.push([start, end]);
  }
  return all;
}

/** Takes pieces of files in any order of their parts, and says of each file how it is stored. */
export class FileParts {
  readonly #builder: FileBuilder;
  readonly #files = new Map<Inode, StoredPart[]>();
  /** Parts whose pieces come next, and how much of the first has come. */
  readonly #expected: FileRange[] = [];
  #came = 0;

  constructor(builder: FileBuilder) {
    this.#builder = builder;
  }

  /** The pieces of that part come behind those that are expected already. */
  expect(range: FileRange): void {
    this.#expected.push(range);
  }

  async add(
    inode: Inode,
    piece: CompressedPiece,
    variant: number,
    place: PiecePlace,
  ): Promise<void> {
    const [start, end] = this.#expected[0]!;
    const part = await this.#builder.addPart(inode, start + this.#came, piece, variant, place);
    const parts = this.#files.get(inode);
    if (parts) parts.push(part);
    else this.#files.set(inode, [part]);
    this.#came += part.length;
    if (start + this.#came < end) return;
    this.#expected.shift();
    this.#came = 0;
  }

  flush(): Promise<void> {
    return this.#builder.flush();
  }

  /** All parts have come: sets the inodes' `compressed`. */
  finish(files: readonly CutFile[]): void {
    for (const { inode, variant } of files) {
      const parts = this.#files.get(inode)!.sort((a, b) => a.at - b.at);
      inode.compressed = this.#builder.joined(inode, parts, variant);
    }
  }
}
