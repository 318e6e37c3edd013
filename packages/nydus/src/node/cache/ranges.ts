/** From `start` on, before `end`. */
export type ByteRange = readonly [start: number, end: number];

/** Ranges made one where at most `gap` lies between, in the order in which the first of each came. */
export function near(ranges: readonly ByteRange[], gap: number): ByteRange[] {
  const all: { range: [number, number]; turn: number }[] = [];
  const sorted = ranges.map(([start, end], turn) => ({ start, end, turn }));
  for (const { start, end, turn } of sorted.sort((a, b) => a.start - b.start)) {
    const last = all.at(-1);
    if (last && start <= last.range[1] + gap) {
      last.range[1] = Math.max(last.range[1], end);
      last.turn = Math.min(last.turn, turn);
    } else all.push({ range: [start, end], turn });
  }
  return all.sort((a, b) => a.turn - b.turn).map(({ range }) => range);
}
