import { ModuleBuilder } from '../../wasm/module.ts';
import { RAM_OFFSET } from '../layout.ts';
import { defineAccess } from './access.ts';
import { defineFast } from './fast.ts';
import { type Define, declareHelpers, signatureOf } from './helpers.ts';
import { defineMmu } from './mmu.ts';
import { defineSlow } from './slow.ts';
import { defineTraps } from './traps.ts';

/**
 * The interpreter as a WebAssembly module. `fused`: see {@link ./fused.ts}. Imports and exports: {@link ./helpers.ts}.
 */
export function interpreterModule(fused: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(RAM_OFFSET >> 16);
  const helpers = declareHelpers(module);
  const define: Define = (name, body) => module.define(helpers[name], signatureOf(name), body);
  defineTraps(define, helpers);
  defineMmu(define, helpers);
  defineAccess(define, helpers);
  defineFast(define, fused);
  defineSlow(define, helpers);
  return module.bytes();
}
