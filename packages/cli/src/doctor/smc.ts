import { readFileSync } from 'node:fs';
import { hasNative, ownCgroup } from '@anole/host/native';
import type { Finding } from './check.ts';

/** linux/capability.h */
const capabilities = { CAP_NET_ADMIN: 12, CAP_BPF: 39 } as const;

/** Sockets over shared memory, between programs of this computer. */
export function smcShared(): Finding {
  if (hasNative()) return { name: 'smc', state: 'ok', found: 'programs of one user share memory' };
  return {
    name: 'smc',
    state: 'optional',
    found: 'koffi is not installed: sockets stay on TCP',
    next: 'Run npm ci with optional dependencies, on Linux for x64 or arm64',
  };
}

/** SMC-R towards other computers, which offer it in the handshake of TCP. */
export function smcRemote(): Finding {
  const name = 'smc-r';
  const status = readFileSync('/proc/self/status', 'utf8');
  const held = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`);
  const lacking = Object.entries(capabilities).filter(
    ([, bit]) => ((held >> BigInt(bit)) & 1n) === 0n,
  );
  if (!hasNative()) {
    const next = 'Run npm ci with optional dependencies, on Linux for x64 or arm64';
    return { name, state: 'optional', found: 'koffi is not installed', next };
  }
  if (lacking.length > 0) {
    const found = `not permitted: lacks ${lacking.map(([each]) => each).join(', ')}`;
    return { name, state: 'optional', found, next: 'Run as root what speaks SMC-R to other hosts' };
  }
  if (ownCgroup() === undefined) {
    const next = 'mount -t cgroup2 none /sys/fs/cgroup/unified';
    return { name, state: 'optional', found: 'cgroup2 is not mounted', next };
  }
  return { name, state: 'ok', found: 'RoCE v2 over UDP, offered to other hosts by BPF' };
}

/** Sockets of SMC that the kernel has itself: for programs of any language, and ours whose policy wants them. */
export function smcKernel(): Finding {
  const protocols = readFileSync('/proc/net/protocols', 'utf8');
  const name = 'af_smc';
  if (/^SMC\b/m.test(protocols)) {
    return {
      name,
      state: 'ok',
      found: 'the kernel has sockets of SMC: "kernel": true in a policy uses them',
    };
  }
  const next = 'modprobe smc, where the kernel has it; anole does not need it';
  return {
    name,
    state: 'optional',
    found: 'the kernel has no sockets of SMC, or not loaded',
    next,
  };
}
