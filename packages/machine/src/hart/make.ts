/** What harts are made of is made of these: loaded where it is not kept. */
export { expansionTable } from './interpreter/expansions.ts';
export { hasFusedMultiplyAdd } from './interpreter/fused.ts';
export { interpreterModule } from './interpreter/module.ts';
