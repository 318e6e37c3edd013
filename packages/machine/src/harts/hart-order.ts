import type { HartParts } from '../hart/create.ts';
import type { JitOptions } from '../hart/jit/options.ts';

/** What the thread of a hart is started with. */
export interface HartOrder {
  readonly hart: number;
  readonly count: number;
  readonly ram: WebAssembly.Memory;
  readonly ramSize: number;
  /** Whether pages of RAM are filled at their first touch. */
  readonly backed: boolean;
  readonly parts: HartParts;
  readonly jit: JitOptions | undefined;
  /** Its ends of {@link ./code-channel.ts}; none where code is not given. */
  readonly codePorts: readonly MessagePort[];
  /** When guest time began, by `sharedNow`. */
  readonly origin: number;
  /** Bytes of the hart's state in its block, where it goes on from a snapshot; else 0. */
  readonly savedBytes: number;
}
