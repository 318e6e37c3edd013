/** One report of a long call. Reports of one `step` come in order; `done` never falls. */
export interface Progress {
  /** What is being done, as a short phrase in the imperative: `download packages`. */
  readonly step: string;
  readonly done: number;
  /** Absent where the end is not known. */
  readonly total?: number;
  readonly unit: 'bytes' | 'items' | 'seconds';
  /** The item at hand: a package, a file. */
  readonly detail?: string;
}

export type OnProgress = (progress: Progress) => void;

/** What every long call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}
