import { ModuleBuilder } from '@anole/bytes/wasm';
import { RAM_OFFSET } from '../layout.ts';
import { chainTo, compiledSignature } from './lookup.ts';
import type { Region } from './region.ts';
import { translate } from './translate.ts';

/** A module whose instance puts a function for each region into the table, from entry `at` on. */
export function regionsModule(
  regions: readonly Region[],
  at: number,
  { fused, shared }: { readonly fused: boolean; readonly shared: boolean },
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(RAM_OFFSET >> 16, shared);
  module.importTable(1);
  const type = module.typeOf(compiledSignature);
  const chain = module.function(compiledSignature, (scope) => chainTo(type, scope));
  const functions = regions.map((region) =>
    module.function(compiledSignature, (scope) =>
      translate(region, scope, { chain, fused, shared }),
    ),
  );
  module.fillTable(at, functions);
  return module.bytes();
}
