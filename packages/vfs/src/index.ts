/**
 * File systems to read and to change, as values. Runs in browsers.
 *
 * @example
 * import { MemoryTree, readTar, treeFromTar } from '@anole/vfs';
 * const tree = await treeFromTar(new Blob([archive]).stream());
 * tree.putFile('etc/hostname', new TextEncoder().encode('anole\n'));
 * console.log(tree.find('/etc/hostname')?.stat.size); // 6
 */
export { type CompareOptions, compareTrees, describeDifferences } from './compare.ts';
export { type CopyOptions, copyTree, graftTree, nodeContent } from './copy.ts';
export { type Aspect, type Difference, renderDifference } from './difference.ts';
export { errnoOf, type VfsCode, VfsError } from './errors.ts';
export {
  type FindOptions,
  type Found,
  findFollowed,
  findNode,
  MAX_LINKS,
  tooManyLinks,
} from './find.ts';
export { type LayerBetweenOptions, layerBetween } from './layer-between.ts';
export { type Attributes, type FileContent, MemoryNode } from './memory-node.ts';
export {
  type ChunkStore,
  type MemoryOverlay,
  type MemoryOverlayOptions,
  memoryOverlay,
  type OverlayState,
  readOverlay,
  type StoredChunk,
  writeOverlay,
} from './memory-overlay.ts';
export { MemoryTree, type SpecialType } from './memory-tree.ts';
export { decodeDevice, encodeDevice, modeOfType, typeOfMode } from './mode.ts';
export { checkName, checkTarget } from './names.ts';
export { type OverlayOptions, overlay } from './overlay.ts';
export { compareNames, splitPath } from './paths.ts';
export { sliceSource } from './slice.ts';
export { padding as tarPadding } from './tar/body.ts';
export type { TarEntry, TarMember, TarOptions } from './tar/entry.ts';
export { type TarCode, TarError } from './tar/errors.ts';
export { parseHeader as parseTarHeader } from './tar/header.ts';
export { applyLayer, applyMembers, type LayerOptions, treeFromLayers } from './tar/layers.ts';
export { type MemberFacts, memberOf, tarMember } from './tar/member.ts';
export { type Member as TarHeader, memberHeader as tarHeader } from './tar/member-header.ts';
export { memberSource } from './tar/member-source.ts';
export { readTar } from './tar/reader.ts';
export { treeFromTar, type UnpackTarOptions, unpackTar } from './tar/unpack.ts';
export { type WriteTarOptions, writeTar } from './tar/writer.ts';
export { type TracedRead, tracedTree } from './traced.ts';
export {
  allFileTypes,
  type DeviceNumber,
  type DirectoryEntry,
  type Extent,
  type FileType,
  type Stat,
  type Timestamp,
  type Tree,
  type TreeNode,
} from './tree.ts';
export { firstName, type WalkEntry, type WalkOptions, walk } from './walk.ts';
export { isWhiteout, type Marker, markerOf, OPAQUE, type Whiteouts } from './whiteouts.ts';
export {
  isWritable,
  type NewNode,
  type RenameOptions,
  type StatChange,
  type Usage,
  type WritableNode,
  type WritableTree,
} from './writable.ts';
