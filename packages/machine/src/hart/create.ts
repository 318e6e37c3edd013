import { expandCompressed } from '../isa/expand.ts';
import { findInstruction, instructions } from '../isa/table.ts';
import { HartError } from './errors.ts';
import type { Hart, HartOptions } from './hart.ts';
import { InterpretedHart, type InterpreterCode } from './interpreted-hart.ts';
import { hasFusedMultiplyAdd } from './interpreter/fused.ts';
import { interpreterModule } from './interpreter/module.ts';
import { EXPANSIONS } from './layout.ts';

/** Without and with compiled code beside it. */
const compiled: (Promise<InterpreterCode> | undefined)[] = [];
/** A word of a major opcode that nothing uses, for halves that are illegal. */
const ILLEGAL = 0xffffffff;
let expansions: Uint32Array<ArrayBuffer> | undefined;

/**
 * A hart over `options.memory`, reset to M-mode at the start of RAM. The interpreter is generated
 * and compiled once per process.
 *
 * @throws HartError `MACHINE_NO_WASM` where the host refuses the module.
 */
export async function createHart(options: HartOptions): Promise<Hart> {
  const compiles = options.jit !== undefined;
  compiled[Number(compiles)] ??= compile(compiles);
  expansions ??= expansionTable();
  new Uint32Array(options.memory.wasm.buffer, EXPANSIONS, expansions.length).set(expansions);
  try {
    return new InterpretedHart(options, await compiled[Number(compiles)]!);
  } catch (cause) {
    throw new HartError('MACHINE_NO_WASM', 'Cannot compile the interpreter', {
      cause,
      hint: 'the host must run WebAssembly with 64-bit integers',
    });
  }
}

async function compile(compiles: boolean): Promise<InterpreterCode> {
  const fused = await hasFusedMultiplyAdd();
  return { module: await WebAssembly.compile(interpreterModule({ fused, compiles })), fused };
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

/** Makes it, which takes tens of milliseconds. */
export async function makeHartParts(compiles = false): Promise<HartParts> {
  const fused = await hasFusedMultiplyAdd();
  const interpreter = interpreterModule({ fused, compiles });
  return { interpreter, fused, expansions: expansionTable() };
}

/**
 * Makes harts of code that was made before by this version, if none were made yet, and returns it with
 * its module.
 *
 * @throws CompileError where the code is damaged
 */
export async function useHartParts(code: HartParts, compiles = false): Promise<HartParts> {
  const { fused } = code;
  const module = code.module ?? (await WebAssembly.compile(code.interpreter));
  compiled[Number(compiles)] ??= Promise.resolve({ module, fused });
  expansions ??= code.expansions;
  return { ...code, module };
}

/** See EXPANSIONS in {@link ./layout.ts}. */
function expansionTable(): Uint32Array<ArrayBuffer> {
  const indexes = new Map(instructions.map((each, index) => [each, index]));
  const table = new Uint32Array(0x20000);
  for (let half = 0; half < 0x10000; half++) {
    const word = expandCompressed(half) || ILLEGAL;
    const instruction = findInstruction(word);
    table[2 * half] = word;
    table[2 * half + 1] = instruction === undefined ? ILLEGAL : indexes.get(instruction)!;
  }
  return table;
}
