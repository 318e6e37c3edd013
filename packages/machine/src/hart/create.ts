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
let expansions: Uint32Array | undefined;

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

/** See EXPANSIONS in {@link ./layout.ts}. */
function expansionTable(): Uint32Array {
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
