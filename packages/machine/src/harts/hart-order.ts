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
  /** Name of the {@link ./code-channel.ts} of the machine's harts. */
  readonly codeChannel: string;
  /** When guest time began, by `sharedNow`. */
  readonly origin: number;
  /** Bytes of the hart's state in its block, where it goes on from a snapshot; else 0. */
  readonly savedBytes: number;
}
