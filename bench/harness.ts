import { performance } from 'node:perf_hooks';

/** One side of a comparison. `run` does the work once and may return a figure of its own. */
export interface Contestant {
  readonly name: string;
  /** Prepares a run; not counted. */
  before?(): Promise<void> | void;
  /** Returns the figure of this run, or nothing to have its wall time in seconds taken. */
  run(): Promise<number | undefined> | number | undefined;
}

export interface Comparison {
  readonly name: string;
  readonly ours: Contestant;
  readonly peer: Contestant;
  /** Unit of the figure; seconds where `run` returns nothing. */
  readonly unit?: string;
  /** For rates, where more is better. The ratio is then peer / ours, so that below 1 we win. */
  readonly higherIsBetter?: boolean;
  /** Counted runs of each side, after one that is not counted. Default 5. */
  readonly runs?: number;
  /** The ratio to reach, printed beside it. */
  readonly target?: number;
}

export interface Result {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  /** Cost of ours over cost of the peer's: below 1, we win. */
  readonly ratio: number;
  readonly target: number | undefined;
}

/** What a bench file exports as default. */
export type Bench = (report: Report) => Promise<void>;

export interface Report {
  /** Whether inputs are as large and runs as many as it takes, instead of some minutes. */
  readonly full: boolean;
  /** The value of `--NAME=VALUE` on the command line. */
  option(name: string): string | undefined;
  /** Runs both in turn (ours, peer, ours, peer, …) and prints medians and the ratio pair by pair. */
  compare(comparison: Comparison): Promise<Result>;
  /** A figure without a peer. */
  figure(name: string, value: number, unit: string): void;
  /** Says that a comparison could not be made, and why. */
  skip(name: string, reason: string): void;
  note(text: string): void;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export async function compare(comparison: Comparison): Promise<Result> {
  const { name, ours, peer, unit = 's', higherIsBetter = false, runs = 5, target } = comparison;
  const figures = { ours: [] as number[], peer: [] as number[] };
  for (let round = 0; round <= runs; round++) {
    const pair = { ours: await once(ours), peer: await once(peer) };
    if (round === 0 && runs > 1) continue;
    figures.ours.push(pair.ours);
    figures.peer.push(pair.peer);
  }
  const ratios = figures.ours.map((value, at) =>
    higherIsBetter ? figures.peer[at]! / value : value / figures.peer[at]!,
  );
  return {
    name,
    unit,
    ours: median(figures.ours),
    peer: median(figures.peer),
    ratio: median(ratios),
    target,
  };
}

async function once(side: Contestant): Promise<number> {
  await side.before?.();
  const start = performance.now();
  const figure = await side.run();
  return figure ?? (performance.now() - start) / 1000;
}
