/** What harts are made of is made of these: loaded where it is not kept. */
import { expansions } from './interpreter/expansions.ts';

export { hasFusedMultiplyAdd } from './interpreter/has-fused.ts';
export { interpreterModule } from './interpreter/module.ts';

/** See EXPANSIONS in {@link ./layout.ts}. */
export const expansionTable = (): Uint32Array<ArrayBuffer> => expansions().table;
