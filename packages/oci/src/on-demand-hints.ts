import type { Descriptor } from './manifest.ts';

/** Bytes [start, end) of a layer. */
export type LayerRange = readonly [start: number, end: number];

/** What who reads a layer on demand will want before all else. */
export interface OnDemandHints {
  /** All that is not data of files, in rising order. */
  readonly metadata: readonly LayerRange[];
  /** What a workload that was traced reads, in its order. */
  readonly first: readonly LayerRange[];
}

const METADATA = 'dev.anole.on-demand.metadata';
const FIRST = 'dev.anole.on-demand.first';

/** Ranges of a list at most. */
export const MAX_HINTS = 512;

/** A layer's annotations that tell of what is wanted first. Lists of over {@link MAX_HINTS} are cut. */
export function hintAnnotations({ metadata, first }: OnDemandHints): Record<string, string> {
  return {
    ...(metadata.length > 0 && { [METADATA]: listOf(metadata) }),
    ...(first.length > 0 && { [FIRST]: listOf(first) }),
  };
}

/** What a layer's annotations tell; nothing of what makes no sense. They are hints, not facts. */
export function hintsOf({ annotations, size }: Descriptor): OnDemandHints {
  return {
    metadata: rangesOf(annotations?.[METADATA], size),
    first: rangesOf(annotations?.[FIRST], size),
  };
}

function listOf(ranges: readonly LayerRange[]): string {
  return ranges
    .slice(0, MAX_HINTS)
    .map(([start, end]) => `${start}-${end}`)
    .join(' ');
}

function rangesOf(text: string | undefined, size: number): readonly LayerRange[] {
  if (text === undefined || text.length > MAX_HINTS * 40) return [];
  const ranges: LayerRange[] = [];
  for (const word of text.split(' ')) {
    const [, from, to] = /^(\d{1,16})-(\d{1,16})$/.exec(word) ?? [];
    const range: LayerRange = [Number(from), Number(to)];
    if (!(range[0] < range[1] && range[1] <= size) || ranges.length === MAX_HINTS) return [];
    ranges.push(range);
  }
  return ranges;
}
