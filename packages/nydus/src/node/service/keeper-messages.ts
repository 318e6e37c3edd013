import type { MountRecord } from './mount-record.ts';
import type { Settings } from './settings.ts';

/** Where a service finds what its keeper gives it. */
export const inherited = {
  /** A Unix socket over which descriptors go. */
  socket: 4,
  /** The group of pre-content events, where there is one. */
  group: 5,
} as const;

/** From the keeper to its service. */
export type ToService =
  | {
      readonly type: 'start';
      readonly mounts: readonly MountRecord[];
      /** Of the descriptors that come over the socket, in their order. */
      readonly names: readonly string[];
      readonly hasGroup: boolean;
      /** As the service before left them. */
      readonly settings?: Settings;
    }
  /** What came with that number outlives the keeper, too. */
  | { readonly type: 'kept'; readonly id: number }
  /** Is to be answered at once: who does not is started anew. */
  | { readonly type: 'ask' }
  | { readonly type: 'stop' }
  /** Ends, and leaves all that is mounted to the next. */
  | { readonly type: 'yield' };

/** From a service to its keeper. */
export type ToKeeper =
  /** A descriptor has been sent over the socket. */
  | { readonly type: 'keep'; readonly id: number; readonly name: string }
  | { readonly type: 'release'; readonly name: string }
  | { readonly type: 'mounts'; readonly id: number; readonly mounts: readonly MountRecord[] }
  | { readonly type: 'settings'; readonly settings: Settings }
  | { readonly type: 'ready' }
  /** To what was asked. */
  | { readonly type: 'answer' }
  /** The service has unmounted everything, and ends. */
  | { readonly type: 'stopped' };

/** Threads of the service's pool: one waits for all mounts through FUSE, the others are for files, names and keys. */
export const THREADS = 32;

/** Descriptors in one message. */
export const BATCH = 16;
