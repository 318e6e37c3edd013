/**
 * The FUSE protocol, server side, over any transport. Runs in browsers.
 *
 * @example
 * import { FuseServer } from '@anole/fuse';
 * import { memoryOverlay } from '@anole/vfs';
 * const server = new FuseServer(memoryOverlay());
 * // A transport hands each request's bytes to the server and sends the chunks of its reply:
 * const chunks = await server.handle(request);
 */
export type { Backings } from './backings.ts';
export type { Stale } from './drops.ts';
export { type FuseCode, FuseError } from './errors.ts';
export { readFuseFork, writeFuseFork } from './fork-lines.ts';
export { type PackedFuseFork, packFuseFork, unpackFuseFork } from './packed-fork.ts';
export { type Reply, resendRequests } from './replies.ts';
export { FuseServer } from './server.ts';
export type { FuseOptions, TreeChange } from './session.ts';
export type { FuseFork, FuseState } from './state.ts';
export type { Window } from './window.ts';
