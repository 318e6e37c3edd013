import type { CallOptions } from '@anole/bytes';
import type { AgentClient } from './client/agent-client.ts';
import { SandboxError } from './errors.ts';

const bootPatience = 120_000; // ms

/**
 * Waits until a guest's agent serves, and the guest is a sandbox's own.
 *
 * @throws SandboxError `SANDBOX_BOOT`; the signal's reason; what ended the guest
 */
export async function awaitAgent(client: AgentClient, options: CallOptions): Promise<void> {
  const begun = Date.now();
  const report = () =>
    options.onProgress?.({ step: 'start', done: (Date.now() - begun) / 1000, unit: 'seconds' });
  const late = Promise.withResolvers<never>();
  const onAbort = () => late.reject(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const ticking = setInterval(report, 250);
  const timer = setTimeout(() => late.reject(bootError()), bootPatience);
  try {
    report();
    options.signal?.throwIfAborted();
    await Promise.race([client.configured, late.promise]);
  } finally {
    clearInterval(ticking);
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

function bootError(): SandboxError {
  return new SandboxError('SANDBOX_BOOT', `Cannot boot: no agent after ${bootPatience / 1000} s`, {
    hint: 'The computer may be busy; try again',
  });
}
