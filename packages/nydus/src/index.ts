/**
 * RAFS, the image format of Nydus: a bootstrap that Linux mounts as EROFS, and blobs of compressed,
 * verified chunks. Reads versions 5 and 6. Runs in browsers; what needs Node is `@anole/nydus/node`.
 *
 * @example
 * import { fileSource } from '@anole/host';
 * import { openRafs } from '@anole/nydus';
 * const image = await openRafs(fileSource('image.boot'), (id) => fileSource(`blobs/${id}`));
 * console.log(await image.root.list());
 */
export {
  builtInCodecs,
  type CipherKey,
  type Decode,
  type Hash,
  type RafsCodecs,
} from './codecs.ts';
export { type RafsCode, RafsError } from './errors.ts';
export {
  checkRafs,
  type RafsCheckOptions,
  type RafsCheckReport,
  type RafsFinding,
} from './inspect/check.ts';
export {
  type ChunkUsage,
  measureRafs,
  measureShare,
  type RafsShare,
  type RafsUsage,
} from './inspect/measure.ts';
export type { Cipher, Compressor, Digester } from './layout/algorithms.ts';
export { type BlobResolver, RafsBlob } from './reader/blob.ts';
export type { BlobInfo } from './reader/blob-info.ts';
export type { Chunk, ChunkTable } from './reader/chunk.ts';
export { type FileChunk, isRafsNode, type RafsNode } from './reader/file-chunks.ts';
export type { RafsImage } from './reader/image.ts';
export {
  type InlinedBootstrap,
  openRafs,
  openRafsBlob,
  type RafsOptions,
  readInlined,
} from './reader/open.ts';
export { type BlobFile, writeRafsBlob } from './writer/blob-of-files.ts';
export type { BlobSink } from './writer/blob-output.ts';
export { type CompactOptions, compactRafs } from './writer/compact.ts';
export { ChunkDictionary } from './writer/dictionary.ts';
export { type RafsDisk, rafsDisk } from './writer/disk.ts';
export type { Encode, RafsEncoders, RunningHash } from './writer/encoders.ts';
export {
  type GeneratedDictionary,
  type GenerateOptions,
  generateDictionary,
} from './writer/generate-dictionary.ts';
export { type WrittenBlob, type WrittenRafs, writeRafs } from './writer/image.ts';
export { type MergedRafs, type MergeOptions, mergeRafs } from './writer/merge.ts';
export type { NamedImage } from './writer/named-image.ts';
export type { RafsWriteOptions } from './writer/options.ts';
export {
  type RafsReferenceOptions,
  type WrittenReference,
  writeRafsReference,
} from './writer/reference/write-reference.ts';
