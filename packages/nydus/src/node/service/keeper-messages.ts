import type { MountRecord } from './service.ts';

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
    }
  | { readonly type: 'kept'; readonly id: number }
  | { readonly type: 'stop' };

/** From a service to its keeper. */
export type ToKeeper =
  /** A descriptor has been sent over the socket. */
  | { readonly type: 'keep'; readonly id: number; readonly name: string }
  | { readonly type: 'release'; readonly name: string }
  | { readonly type: 'mounts'; readonly mounts: readonly MountRecord[] }
  | { readonly type: 'ready' }
  /** The service has unmounted everything, and ends. */
  | { readonly type: 'stopped' };

/** Descriptors in one message. */
export const BATCH = 16;
