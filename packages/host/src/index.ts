/**
 * Linux for Node: files, directories, caches, locks.
 *
 * @example
 * import { cacheDirectory, writeFileAtomically } from '@anole/host';
 * await writeFileAtomically(`${cacheDirectory()}/note.txt`, 'whole or not at all');
 */
export { type Answer, attempt, errorOf } from './answer.ts';
export { type AtomicOptions, createFileAtomically, writeFileAtomically } from './atomic-file.ts';
export { cacheDirectory } from './cache-directory.ts';
export { type HostDecoder, hostDecoders } from './codecs.ts';
export { ContentStore, type InsertOptions, type PartialContent } from './content-store.ts';
export { Crew, serveCrew } from './crew.ts';
export { type HostCode, HostError, hostError, systemCode } from './errors.ts';
export { FileListing } from './file-listing.ts';
export { type FileSource, fileSource } from './file-source.ts';
export {
  type FuseHandler,
  type FuseMount,
  type FuseMountOptions,
  mountFuse,
  resumeFuse,
} from './fuse-device.ts';
export { HostNode, type HostTree, type HostTreeOptions, hostTree } from './host-tree.ts';
export { hostGunzip, hostInflate, type InflateFrom } from './inflate.ts';
export type { FileList } from './listed-files.ts';
export type { Listing } from './listing.ts';
export { acquireLock, type Lock, type LockOptions, withLock } from './lock.ts';
export { readAt } from './read-at.ts';
export { type ScratchFile, scratchFile } from './scratch-file.ts';
export { startThread } from './threads.ts';
export { checkGoal, type UnpackOptions, type UnpackReport, unpackTree } from './unpack.ts';
export type { Elsewhere, LeftFile, Making } from './unpack-elsewhere.ts';
export type { SkippedPart } from './unpacking.ts';
export { type HostVolume, hostVolume, type VolumeOptions } from './volume.ts';
export { writeAt } from './write-at.ts';
export { zlibEncoders } from './zlib-encoders.ts';
