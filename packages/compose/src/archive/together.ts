/**
 * Runs `task` for each item, at most `atOnce` at a time. When one fails, the signal that the others
 * were given aborts; the failure is thrown once all have ended, so that none goes on unseen.
 */
export async function together<T, R>(
  items: readonly T[],
  atOnce: number,
  task: (item: T, at: number, signal: AbortSignal) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const failed = new AbortController();
  const joint = AbortSignal.any([failed.signal, ...(signal === undefined ? [] : [signal])]);
  const results: R[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const work = async () => {
    for (let at = next++; at < items.length && !joint.aborted; at = next++) {
      try {
        results[at] = await task(items[at]!, at, joint);
      } catch (error) {
        failures.push(error);
        failed.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  signal?.throwIfAborted();
  if (failures.length > 0) throw failures[0];
  return results;
}
