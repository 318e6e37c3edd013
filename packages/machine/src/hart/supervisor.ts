import * as at from './layout.ts';
import type { HartState } from './state.ts';

/** Of menvcfg: supervisors have a timer of their own (Sstc). */
export const STCE = 1n << 63n;

/** What machine-mode firmware does before it enters a supervisor. */
export function prepareSupervisor(state: HartState): void {
  state.set(at.MEDELEG, 0xb1ffn);
  state.set(at.MIDELEG, 0x222n);
  state.set(at.MCOUNTEREN, 0xffffffffn);
  state.set(at.SCOUNTEREN, 7n);
  state.set(at.MENVCFG, STCE);
  // One region over everything: without any, S and U may access nothing.
  state.set(at.PMPADDR, (1n << 54n) - 1n);
  state.set(at.PMPCFG, 0x1fn);
}
