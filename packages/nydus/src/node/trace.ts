import { parseJson } from '@anole/oci';
import type { TracedRead } from '@anole/vfs';

/** Reads of a trace at most. */
const MAX_READS = 1_000_000;
const VERSION = 1;

/** What a workload read of an image, in its order: by paths, so that it outlives any form of the image. */
export type Trace = readonly TracedRead[];

/** Collects what is read: each part of a file where it was read for the first time. */
export class TraceRecorder {
  readonly #reads: { path: string; offset: number; length: number }[] = [];
  /** Of each file, the ranges that have been read, in rising order and apart. */
  readonly #known = new Map<string, [start: number, end: number][]>();

  add({ path, offset, length }: TracedRead): void {
    if (length === 0) return;
    const known = this.#known.get(path) ?? [];
    this.#known.set(path, known);
    for (const [start, end] of newIn(known, offset, offset + length)) {
      const last = this.#reads.at(-1);
      if (last?.path === path && last.offset + last.length === start) last.length += end - start;
      else if (this.#reads.length < MAX_READS) {
        this.#reads.push({ path, offset: start, length: end - start });
      }
    }
  }

  get trace(): Trace {
    return this.#reads;
  }
}

/** The parts of a range that are not among those known, which it joins. */
function newIn(known: [number, number][], from: number, to: number): [number, number][] {
  const parts: [number, number][] = [];
  const kept: [number, number][] = [];
  let at = from;
  let merged: [number, number] = [from, to];
  for (const range of known) {
    const [start, end] = range;
    if (end < from || start > to) kept.push(range);
    else {
      if (start > at) parts.push([at, start]);
      at = Math.max(at, end);
      merged = [Math.min(merged[0], start), Math.max(merged[1], end)];
    }
  }
  if (at < to) parts.push([at, to]);
  kept.push(merged);
  known.splice(0, known.length, ...kept.sort((a, b) => a[0] - b[0]));
  return parts;
}

/** A trace as a file has it: JSON, a read a line. */
export function formatTrace(trace: Trace): string {
  const reads = trace.map(({ path, offset, length }) => JSON.stringify([path, offset, length]));
  return `{"version":${VERSION},"reads":[\n${reads.join(',\n')}\n]}\n`;
}

/** @throws OciError `OCI_BAD_TRACE` */
export function parseTrace(bytes: Uint8Array): Trace {
  const json = parseJson(bytes, { what: 'the trace', code: 'OCI_BAD_TRACE' });
  const { version, reads } = json.raw;
  if (version !== VERSION) throw json.wrong('version', `${VERSION}`);
  if (!Array.isArray(reads) || reads.length > MAX_READS) throw json.wrong('reads', 'a list');
  return reads.map((read: unknown, index) => {
    const [path, offset, length] = Array.isArray(read) ? (read as unknown[]) : [];
    if (typeof path === 'string' && isCount(offset) && isCount(length)) {
      return { path, offset, length };
    }
    throw json.wrong(`reads[${index}]`, 'a path, an offset and a length');
  });
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
