import { createRequire } from 'node:module';
import { getSystemErrorMap } from 'node:util';
import { HostError, hostError } from '../errors.ts';
import { uninterrupted } from '../uninterrupted.ts';

/** A function of the C library; `errno` of a failed call is read by {@link check}. */
// biome-ignore lint/suspicious/noExplicitAny: its declaration in C has the types
export type NativeFunction = (...args: any[]) => any;

/** What anole uses of koffi; the package of each platform has no types of its own. */
interface Koffi {
  load(library: string): { func(declaration: string): NativeFunction };
  /** Address of a buffer's first byte. */
  address(bytes: Uint8Array): bigint;
  /** The memory at an address, not copied; nothing keeps it mapped. */
  view(address: bigint, length: number): ArrayBuffer;
  errno(): number;
}

let loaded: Koffi | undefined;
let problem: unknown;

/**
 * koffi, loaded at the first use. See docs/decisions/0150-native-calls.md for why it is the package
 * of the platform and not the one that chooses among them.
 */
function koffi(): Koffi {
  if (loaded !== undefined) return loaded;
  if (problem === undefined) {
    try {
      if (process.platform !== 'linux') throw new Error(`this is ${process.platform}, not Linux`);
      const name = `@koromix/koffi-linux-${process.arch}`;
      loaded = uninterrupted(() => createRequire(import.meta.url)(name) as Koffi);
      return loaded;
    } catch (error) {
      problem = error;
    }
  }
  throw new HostError('HOST_NO_NATIVE', 'Cannot call the C library: koffi is not installed', {
    cause: problem,
    hint: 'Install again with optional dependencies (npm ci), on Linux for x64 or arm64.',
  });
}

/** Whether system calls that Node lacks can be made here. */
export function hasNative(): boolean {
  try {
    koffi();
    return true;
  } catch {
    return false;
  }
}

/** A function of the C library, bound at its first call: `native('int eventfd(uint, int)')`. */
export function native(declaration: string): NativeFunction {
  let bound: NativeFunction | undefined;
  const bind = () => {
    bound = uninterrupted(() => koffi().load('libc.so.6').func(declaration));
    return bound;
  };
  // Those of most calls by their number: to gather and spread them takes as long as some calls.
  switch (declaration.split(',').length) {
    case 1:
      return (a) => (bound ?? bind())(a);
    case 2:
      return (a, b) => (bound ?? bind())(a, b);
    case 3:
      return (a, b, c) => (bound ?? bind())(a, b, c);
    case 4:
      return (a, b, c, d) => (bound ?? bind())(a, b, c, d);
    default:
      return (...args) => (bound ?? bind())(...args);
  }
}

/**
 * As {@link native}, but called in a thread of Node's pool, which may wait there. Memory that is passed must be kept by
 * the caller until then. What went wrong the result alone says.
 *
 * @throws Error where too many such calls wait: 256
 */
export function nativeElsewhere(
  declaration: string,
  // biome-ignore lint/suspicious/noExplicitAny: its declaration in C has the types
): (...args: any[]) => Promise<number> {
  let bound: NativeFunction | undefined;
  return async (...args) => {
    bound ??= uninterrupted(() => koffi().load('libc.so.6').func(declaration));
    const { async: call } = bound as NativeFunction & { readonly async: NativeFunction };
    return await new Promise((resolve, reject) => {
      call(...args, (error: unknown, result: number) => (error ? reject(error) : resolve(result)));
    });
  };
}

const close = native('int close(int fd)');

/**
 * Closes a descriptor that a native call opened. `fs.closeSync` would do it, too, but in a worker
 * thread Node warns of descriptors that it has not opened.
 */
export function closeDescriptor(fd: number): void {
  check(close(fd), 'close a descriptor');
}

export const addressOf = (bytes: Uint8Array): bigint => koffi().address(bytes);

export const viewAt = (address: bigint, length: number): ArrayBuffer =>
  uninterrupted(() => koffi().view(address, length));

/**
 * Name of the error that the last native call of this thread met: `EAGAIN`. Hardly ever that of a call that V8 made
 * since: who must be sure asks the kernel once more, by a call of Node's.
 */
export function lastError(): string {
  const errno = koffi().errno();
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}

/**
 * The result of a native call, where it is not negative.
 *
 * @param action completes "Cannot "
 * @throws HostError as a failed call of Node's would become, with `details.system` the errno's name
 */
export function check(result: number, action: string): number {
  if (result >= 0) return result;
  throw nativeError(action);
}

/** The coded error of the native call that just failed. */
export function nativeError(action: string): Error {
  return hostError(systemError(), action);
}

/** The error of the native call that just failed, as Node's own calls raise it. */
export function systemError(): Error & { readonly code: string } {
  const errno = koffi().errno();
  const [code, message] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown'];
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
