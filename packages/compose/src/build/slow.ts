/** What `ensure.ts` loads only when it must: the parsers and the archive. */
export { loadRecipe } from '../recipe/load.ts';
export { cachedImage } from './image.ts';
export { cachedKernel, cachedModules } from './kernel.ts';
export { lockPath } from './lock-file.ts';
