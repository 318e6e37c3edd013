/**
 * What threads need that read directories of this machine for others, or make files in them. It is apart from the
 * rest of the package so that they start with no more than they use.
 */
export { attempt } from './answer.ts';
export { serveCrew } from './crew.ts';
export { FileMaker } from './file-maker.ts';
export { fileSource } from './file-source.ts';
export { ListedFiles } from './listed-files.ts';
export { writeAt } from './write-at.ts';
