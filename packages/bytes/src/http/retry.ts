/** How it goes with one range. */
export interface Attempts {
  /** Attempts in a row that brought nothing, and how many may. */
  failed: number;
  readonly most: number;
  /** Bytes that the last attempt brought. */
  got: number;
  /** What the server said of when to come again: seconds, or a date. */
  retryAfter: string | undefined;
  /** The file was looked for at its first address again. */
  moved: boolean;
}

export function attempts(most: number): Attempts {
  return { failed: 0, most, got: 0, retryAfter: undefined, moved: false };
}

/** The first pause, which doubles, and the longest, in milliseconds. */
const PAUSE = 100;
const LONGEST = 10_000;

/** A pause that grows, by chance shorter so that many do not come at once; or what the server wants. */
export async function waitBefore(state: Attempts, signal: AbortSignal): Promise<void> {
  const grown = PAUSE * 2 ** state.failed * (0.5 + Math.random() / 2);
  const wanted = Number(state.retryAfter ?? Number.NaN) * 1000;
  const pause = Math.min(LONGEST, Number.isFinite(wanted) ? Math.max(grown, wanted) : grown);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = () => reject(signal.reason);
  const timer = setTimeout(resolve, pause);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
