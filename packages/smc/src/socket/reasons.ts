import type { Diagnosis } from '../clc/diagnosis.ts';

/** Why a connection of this process goes over TCP. */
export type FallbackName = keyof typeof reasons;

/** A {@link Diagnosis} with a name that programs can match. */
export interface Fallback extends Diagnosis {
  readonly name: FallbackName;
}

/** With the numbers that the standard has for declining (clc/diagnosis.ts). */
const reasons = {
  off: [0x03000000, 'the policy keeps it on TCP', 'look at the file that ANOLE_SMC_POLICY names'],
  dryRun: [0x03000000, 'the policy only tries out: shared memory could be used'],
  noNative: [
    0x03030001,
    'shared memory is not available here',
    'install again with optional dependencies, on Linux for x64 or arm64',
  ],
  noInternals: [0x03030001, 'this Node has another inside', 'use Node 24'],
  thread: [
    0x03030001,
    'this thread may be ended at any moment, which would end the process where shared memory is being set up',
    'load @anole/smc/register in the main thread, too',
  ],
  otherHost: [0x03030001, 'the peer is not on this host'],
  noPeer: [
    0x03010000,
    'nobody at that port offers shared memory',
    'start the server with anole smc run, as the same user',
  ],
  otherUser: [0x03000000, 'the peer belongs to another user', 'run both as the same user'],
  late: [
    0x02010000,
    'the peer did not answer in time',
    'it may be busy; the next one may do better',
  ],
  badPeer: [0x04000000, 'what the peer said made no sense'],
  short: [
    0x03000000,
    'connections to that port have been too short to be worth it',
    'mode "always" in the policy uses shared memory for them, too',
  ],
  full: [0x030d0000, 'no more connections fit between these two processes', 'close some'],
  declined: [0x05000000, 'the peer took the connection over TCP'],
  passed: [0x05000000, 'one end was passed to another process or thread, and took it over TCP'],
  noClaim: [0x03010000, 'the client does not offer shared memory'],
  tls: [0x03000000, 'TLS was begun below JavaScript'],
  noKernel: [
    0x03030000,
    'the peer is not on this host, and the kernel has no sockets of SMC',
    'load its module (modprobe smc); anole smc info says whether it is there',
  ],
  kernel: [0x05000000, "the kernel's SMC took TCP", 'smcss -a shows why, where smc_diag is loaded'],
  failed: [0x05000000, 'the connection was not made'],
} as const satisfies Record<string, readonly [code: number, reason: string, hint?: string]>;

export function fallback(name: FallbackName): Fallback {
  const [code, reason, hint] = reasons[name] as readonly [number, string, string?];
  return { name, code, reason, ...(hint !== undefined && { hint }) };
}
