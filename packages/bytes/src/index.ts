/**
 * Bytes: errors, Sources, names, progress. Runs in browsers.
 *
 * @example
 * import { memorySource } from '@anole/bytes';
 * const source = memorySource(new Uint8Array([1, 2, 3]));
 * console.log(await source.read(1, 2)); // Uint8Array [2, 3]
 */
export { type Awaitable, chain, type Flow, flow, isPromise, wait } from './awaitable.ts';
export { AnoleError, type ErrorOptions } from './errors.ts';
export { decodeName, encodeName } from './names.ts';
export type { CallOptions, OnProgress, Progress } from './progress.ts';
export { checkRange, memorySource, type ReadOptions, type Source } from './source.ts';
