/**
 * File systems to read and to change, as values. Runs in browsers.
 */
export { errnoOf, type VfsCode, VfsError } from './errors.ts';
export type {
  DeviceNumber,
  DirectoryEntry,
  Extent,
  FileType,
  Stat,
  Timestamp,
  Tree,
  TreeNode,
} from './tree.ts';
export type { NewNode, RenameOptions, StatChange, Usage, WritableNode, WritableTree } from './writable.ts';
