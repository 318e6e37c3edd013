/**
 * What threads need that read directories of this machine for others. It is apart from the rest of the
 * package so that they start with no more than they use.
 */
export { attempt } from './answer.ts';
export { serveCrew } from './crew.ts';
export { ListedFiles } from './listed-files.ts';
