import { HartError } from './errors.ts';
import type { Hart, HartOptions } from './hart.ts';
import { InterpretedHart } from './interpreted-hart.ts';
import { Jit, loadCompiler } from './jit/jit.ts';
import type { JitOptions } from './jit/options.ts';
import { EXPANSIONS, RAM_OFFSET } from './layout.ts';

/** By {@link variantOf}. */
const prepared: (Promise<PreparedParts> | undefined)[] = [];
/** Without and with compiled code beside it; for RAM of its own, and for RAM that harts share. */
const variantOf = ({ compiles, shared }: PartsOptions): number =>
  Number(compiles ?? false) + 2 * Number(shared ?? false);
let expansions: Uint32Array<ArrayBuffer> | undefined;

/**
 * A hart over `options.memory`, reset to M-mode at the start of RAM. The interpreter is generated
 * and compiled once per process.
 *
 * @throws HartError `MACHINE_NO_WASM` where the host refuses the module.
 */
export async function createHart(options: HartOptions): Promise<Hart> {
  const { memory } = options;
  const parts = await hartParts({ compiles: options.jit !== undefined, shared: memory.shared });
  if (options.jit && (memory.shared || !waits(options.jit))) await loadCompiler();
  const jit = options.jit && Jit;
  // State and TLBs stay in a memory of the hart's own: V8 is slower with shared ones.
  const own = memory.shared ? ownMemory() : memory.wasm;
  new Uint32Array(own.buffer, EXPANSIONS, parts.expansions.length).set(parts.expansions);
  try {
    return new InterpretedHart(options, parts, own, jit);
  } catch (cause) {
    throw new HartError('MACHINE_NO_WASM', 'Cannot compile the interpreter', {
      cause,
      hint: 'the host must run WebAssembly with 64-bit integers',
    });
  }
}

/**
 * Whether compiling begins so late that what compiles can be loaded then, in a turn of the host's loop:
 * a hart that shares its RAM has a thread that takes none.
 */
function waits({ threshold, coldThreshold = threshold }: JitOptions): boolean {
  return coldThreshold > threshold;
}

function ownMemory(): WebAssembly.Memory {
  const pages = RAM_OFFSET >> 16;
  return new WebAssembly.Memory({ initial: pages, maximum: pages });
}

/** Which harts code is for. */
export interface PartsOptions {
  /** Whether hot code of the guest is compiled. Default false. */
  readonly compiles?: boolean;
  /** Whether there are several harts in one machine. Default false. */
  readonly shared?: boolean;
}

/**
 * What harts are made of, made once per process: to be kept, or used by another thread. `fused` must
 * be as `hasFusedMultiplyAdd` says of the computer that uses it.
 */
export interface HartParts {
  readonly interpreter: Uint8Array<ArrayBuffer>;
  readonly fused: boolean;
  readonly expansions: Uint32Array<ArrayBuffer>;
  /** The interpreter, compiled: threads that share it share what the host's compiler made of it. */
  readonly module?: WebAssembly.Module;
}

type PreparedParts = Required<HartParts>;

/** The parts of such harts, for other threads. Made once per process. */
export function hartParts(options: PartsOptions): Promise<PreparedParts> {
  const variant = variantOf(options);
  prepared[variant] ??= makeHartParts(options).then(compiled);
  return prepared[variant];
}

async function compiled(code: HartParts): Promise<PreparedParts> {
  return { ...code, module: code.module ?? (await WebAssembly.compile(code.interpreter)) };
}

/** Makes it, which takes tens of milliseconds. */
export async function makeHartParts(options: PartsOptions = {}): Promise<HartParts> {
  const { compiles = false, shared = false } = options;
  // Loaded only now: who has parts that are kept needs neither the instructions nor what is made of them.
  const { expansionTable, hasFusedMultiplyAdd, interpreterModule } = await import('./make.ts');
  const fused = await hasFusedMultiplyAdd();
  const interpreter = interpreterModule({ fused, compiles, shared });
  expansions ??= expansionTable();
  return { interpreter, fused, expansions };
}

/**
 * Makes harts of code that was made before by this version, if none were made yet, and returns it with
 * its module.
 *
 * @throws CompileError where the code is damaged
 */
export async function useHartParts(
  code: HartParts,
  options: PartsOptions = {},
): Promise<HartParts> {
  const parts = await compiled(code);
  prepared[variantOf(options)] ??= Promise.resolve(parts);
  expansions ??= code.expansions;
  return parts;
}
