import type { CommandContext } from '../context.ts';
import { renderFinding } from '../doctor/check.ts';
import { smcKernel, smcRemote, smcShared } from '../doctor/smc.ts';

/** What of SMC works on this computer. */
export async function infoAction({ out, json }: CommandContext): Promise<number> {
  for (const check of [smcShared, smcRemote, smcKernel]) {
    out(json ? JSON.stringify(check()) : renderFinding(check()));
  }
  return 0;
}
