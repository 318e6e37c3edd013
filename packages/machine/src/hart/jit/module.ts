import { ModuleBuilder } from '@anole/bytes/wasm';
import { RAM_OFFSET } from '../layout.ts';
import { isDeclaredShared } from '../memory-pool.ts';
import { acrossTo, chainTo, compiledSignature } from './lookup.ts';
import { StepTemplates } from './templates.ts';
import { type PlacedRegion, translate } from './translate.ts';

/** A module that exports a function for each region, `0`, `1`, … */
export function regionsModule(
  regions: readonly PlacedRegion[],
  { fused, shared }: { readonly fused: boolean; readonly shared: boolean },
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(RAM_OFFSET >> 16, shared, !shared && isDeclaredShared);
  module.importTable(1);
  const type = module.typeOf(compiledSignature);
  const templates = templatesFor({ fused, shared });
  const chain = module.function(compiledSignature, (scope) => chainTo(type, scope, !shared));
  const across = module.function(compiledSignature, (scope) => acrossTo(type, scope, shared));
  for (const [number, region] of regions.entries()) {
    module.function(
      compiledSignature,
      (scope) => translate(region, scope, { chain, across, templates }),
      String(number),
    );
  }
  return module.bytes();
}

/** Made once, for all harts alike. */
const made: StepTemplates[] = [];

function templatesFor(options: {
  readonly fused: boolean;
  readonly shared: boolean;
}): StepTemplates {
  const variant = Number(options.fused) + 2 * Number(options.shared);
  made[variant] ??= new StepTemplates(options);
  return made[variant];
}
