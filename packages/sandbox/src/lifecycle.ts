import type { EngineEnd } from './engine/engine.ts';
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
