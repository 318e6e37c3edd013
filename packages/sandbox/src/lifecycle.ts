import type { GuestStatistics } from './agent/wire.ts';
import { checkLifetime } from './checks.ts';
import type { EngineEnd, EngineStatistics } from './engine/engine.ts';
import { SandboxError } from './errors.ts';

/** What a sandbox may have met: each is told as it happens, at most once a second. */
export type Limit = 'memory' | 'processes' | 'disk' | 'output' | 'time';

/** Events of a {@link Sandbox}, with the arguments of their listeners. */
export interface SandboxEvents {
  /** A bound was met. What that means to the command, its exit or its errors say. */
  readonly limit: [limit: Limit];
  readonly paused: [];
  readonly resumed: [];
  /** The machine stopped; how, `error` says where it was not closed. */
  readonly ended: [end: SandboxEnd];
}

export interface SandboxEnd {
  readonly reason: EngineEnd['reason'] | 'timeout';
  readonly error?: unknown;
}

export type SandboxState = 'running' | 'paused' | 'ended';

export interface SandboxStats {
  readonly state: SandboxState;
  /** Milliseconds since it was created or forked. */
  readonly uptime: number;
  readonly cpu: {
    /** Milliseconds of a processor that the machine took. */
    readonly used: number;
    /** Milliseconds for which its share held it back. */
    readonly throttled: number;
    readonly instructions: number;
  };
  /** Bytes over the image, as they are counted, and their bound. */
  readonly disk: { readonly written: number; readonly max: number };
  /** Bytes, as the guest sees them. Absent where it is paused or does not answer. */
  readonly memory?: { readonly total: number; readonly available: number };
  /** Processes and threads of commands. Absent as `memory`. */
  readonly processes?: number;
}

/** @param guest undefined where it does not answer */
export function statsOf(
  state: SandboxState,
  uptime: number,
  engine: EngineStatistics,
  guest: GuestStatistics | undefined,
): SandboxStats {
  const { total = 0, available = 0 } = guest?.memory ?? {};
  return {
    state,
    uptime,
    cpu: {
      used: engine.cpuMilliseconds,
      throttled: engine.throttledMilliseconds,
      instructions: engine.instructions,
    },
    disk: { written: engine.written, max: engine.maxWritten },
    ...(guest && {
      memory: { total: total * 1024, available: available * 1024 },
      processes: guest.processes,
    }),
  };
}

/** Ends something after a while, unless it is told otherwise before. */
export class Lifetime {
  readonly #over: (lifetime: number) => void;
  #timer: NodeJS.Timeout | undefined;
  /** Milliseconds, as they were given. */
  given: number | undefined;

  constructor(over: (lifetime: number) => void) {
    this.#over = over;
  }

  /** @throws SandboxError `SANDBOX_BAD_OPTION` */
  set(lifetime: number | undefined): void {
    if (lifetime !== undefined) checkLifetime(lifetime);
    this.stop();
    this.given = lifetime;
    if (lifetime === undefined) return;
    this.#timer = setTimeout(() => this.#over(lifetime), lifetime).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

export function lifetimeError(lifetime: number): SandboxError {
  return new SandboxError(
    'SANDBOX_TIMEOUT',
    `Cannot go on: the ${lifetime / 1000} s of the sandbox are over`,
    { details: { lifetime } },
  );
}

export function outputError(maxOutput: number): SandboxError {
  return new SandboxError(
    'SANDBOX_OUTPUT',
    `Cannot take more output: the command wrote more than ${maxOutput} bytes, it was killed`,
    { details: { maxOutput }, hint: 'Read the streams, or allow more with maxOutput' },
  );
}

/** What a promise gives, or undefined where it takes too long or fails. */
export async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), milliseconds);
  try {
    return await Promise.race([promise.catch(() => undefined), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
