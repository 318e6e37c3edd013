import { i32, ModuleBuilder } from '@anole/bytes/wasm';
import { decodedLoop } from '../decoded/loop.ts';
import { compiledSignature, Outcome } from '../jit/lookup.ts';
import { RAM_OFFSET } from '../layout.ts';
import { isDeclaredShared } from '../memory-pool.ts';
import { defineAccess } from './access.ts';
import { defineFast } from './fast.ts';
import { type Define, declareHelpers, signatureOf } from './helpers.ts';
import { defineMmu } from './mmu.ts';
import { decodes, type InterpreterOptions } from './options.ts';
import { defineQuickCsr } from './quick-csrs.ts';
import { loadCode, run, runCompiled } from './run.ts';
import { defineSlow } from './slow.ts';
import { defineTraps } from './traps.ts';

/** The interpreter as a WebAssembly module. Imports and exports: {@link ./helpers.ts}. */
export function interpreterModule(options: InterpreterOptions): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(
    RAM_OFFSET >> 16,
    options.shared,
    !options.shared && isDeclaredShared,
  );
  if (options.compiles) module.importTable(1);
  const helpers = declareHelpers(module);
  const define: Define = (name, body) => module.define(helpers[name], signatureOf(name), body);
  defineTraps(define, helpers);
  defineQuickCsr(define, helpers);
  defineMmu(define, helpers, options);
  defineAccess(define, helpers);
  defineFast(define, options);
  defineSlow(define, helpers, options);
  const type = module.typeOf(compiledSignature);
  define('run', (scope) =>
    options.compiles ? runCompiled(helpers, type, scope, decodes(options)) : run(helpers),
  );
  define('decoded', (scope) =>
    decodes(options) ? decodedLoop(scope, options.fused, type) : i32(Outcome.proceed),
  );
  define('loadCode', (scope) => loadCode(helpers, scope));
  return module.bytes();
}
