/**
 * The scripts that `known.ts` speaks of, as they were when they were read: digests by
 * `scriptDigest`, for `PACKAGE.SCRIPT`. A script that is not here is replayed as known all the same,
 * and reported as changed, so that somebody reads it again.
 */
export const reviewed: Readonly<Record<string, readonly string[]>> = {};
