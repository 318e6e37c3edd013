/** Node's, from version 23.9 on. */
interface Usage {
  /** Microseconds. */
  readonly user: number;
  readonly system: number;
}

const { process } = globalThis as { process?: { threadCpuUsage?(): Usage } };

/**
 * Milliseconds of a processor that this thread has taken so far. Time in which the host ran something
 * else does not count, so that a guest gets its share of a busy computer too. Where the host does not
 * tell, as in browsers, it is the time that has passed.
 */
export function threadTime(): number {
  const usage = process?.threadCpuUsage?.();
  return usage === undefined ? performance.now() : (usage.user + usage.system) / 1000;
}
