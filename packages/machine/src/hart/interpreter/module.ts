import { ModuleBuilder } from '@anole/bytes/wasm';
import { compiledSignature } from '../jit/lookup.ts';
import { RAM_OFFSET } from '../layout.ts';
import { defineAccess } from './access.ts';
import { defineFast } from './fast.ts';
import { type Define, declareHelpers, signatureOf } from './helpers.ts';
import { defineMmu } from './mmu.ts';
import { defineQuickCsr } from './quick-csrs.ts';
import { loadCode, run, runCompiled } from './run.ts';
import { defineSlow } from './slow.ts';
import { defineTraps } from './traps.ts';

export interface InterpreterOptions {
  /** Whether relaxed_madd rounds once, see {@link ./fused.ts}. */
  readonly fused: boolean;
  /** Whether there may be compiled code, in the table of functions. */
  readonly compiles: boolean;
  /** Whether RAM is a memory of its own, which other harts work on. */
  readonly shared: boolean;
}

/** The interpreter as a WebAssembly module. Imports and exports: {@link ./helpers.ts}. */
export function interpreterModule(options: InterpreterOptions): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(RAM_OFFSET >> 16, options.shared);
  if (options.compiles) module.importTable(1);
  const helpers = declareHelpers(module);
  const define: Define = (name, body) => module.define(helpers[name], signatureOf(name), body);
  defineTraps(define, helpers);
  defineQuickCsr(define, helpers);
  defineMmu(define, helpers, options);
  defineAccess(define, helpers);
  defineFast(define, options);
  defineSlow(define, helpers, options);
  define('run', (scope) =>
    options.compiles ? runCompiled(helpers, module.typeOf(compiledSignature), scope) : run(helpers),
  );
  define('loadCode', (scope) => loadCode(helpers, scope));
  return module.bytes();
}
