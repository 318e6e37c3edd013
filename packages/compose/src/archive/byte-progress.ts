import type { OnProgress } from '@anole/bytes';

/** Sums up the progress of files that are got at once. */
export class ByteProgress {
  readonly #step: string;
  readonly #onProgress: OnProgress | undefined;
  #done = 0;
  #total = 0;

  constructor(step: string, onProgress: OnProgress | undefined) {
    this.#step = step;
    this.#onProgress = onProgress;
  }

  /** Counts a file in; the function returned is to be called with its bytes that are there. */
  add(size: number, detail: string): (bytes: number) => void {
    let most = 0;
    this.#total += size;
    return (bytes) => {
      // A server that starts again must not make the sum fall.
      if (bytes <= most) return;
      this.#done += Math.min(bytes, size) - most;
      most = Math.min(bytes, size);
      this.#onProgress?.({
        step: this.#step,
        done: this.#done,
        total: this.#total,
        unit: 'bytes',
        detail,
      });
    };
  }
}
