/**
 * EROFS, the Enhanced Read-Only File System: writes an image of any Tree, reads an image as a Tree.
 * Runs in browsers.
 *
 * @example
 * import { openErofs, writeErofs } from '@anole/erofs';
 * const image = await writeErofs(tree, { time: { seconds: 0, nanoseconds: 0 } });
 * for await (const chunk of image) await file.write(chunk);
 * const back = await openErofs(source);
 */
export { type CheckOptions, type CheckReport, checkErofs } from './check/check.ts';
export type { Finding, FindingCode, Severity } from './check/findings.ts';
export type { DecodeOptions, Decoder, Decoders } from './codecs.ts';
export { type ErofsCode, ErofsError } from './errors.ts';
export { type Group, type Inspection, inspectErofs } from './inspect/inspect.ts';
export {
  type Storage,
  type StorageUsage,
  totalOf,
  type Usage,
  UsageMeter,
} from './inspect/usage.ts';
export type { DecodedStore } from './reader/compressed/decoded-store.ts';
export type { ImageDevice } from './reader/devices.ts';
export type { Mapping } from './reader/mapping.ts';
export type { OpenOptions } from './reader/open.ts';
export type { ImageInfo } from './reader/superblock.ts';
export { type ErofsNode, type ErofsTree, openErofs } from './reader/tree.ts';
export type { BlobDevice, ChunkOptions, ExternalData } from './writer/chunked/options.ts';
export {
  type IndexedArchive,
  indexLayers,
  indexMembers,
  indexTar,
  TAR_BLOCK,
  type TarIndex,
} from './writer/chunked/tar-index.ts';
export type { Encoders } from './writer/compress/fillers.ts';
export {
  type Lane,
  type LaneRange,
  type Lanes,
  laneRanges,
  packPieces,
  pieceCompressor,
  unpackResults,
} from './writer/compress/lanes.ts';
export type {
  CompressionOptions,
  CompressionRule,
  CompressorOptions,
} from './writer/compress/options.ts';
export type {
  CompressedPiece,
  Compressor,
  Piece,
  PieceSettings,
  TailMode,
} from './writer/compress/piece.ts';
export type { ReusedImage } from './writer/compress/reuse.ts';
export type { Spool } from './writer/compress/spool.ts';
export type { DigestOptions } from './writer/digests.ts';
export { type LabelOptions, labelsBy } from './writer/file-contexts.ts';
export { type ErofsImage, type PartsOptions, writeErofs } from './writer/image.ts';
export type { FileRange, Owners, WantedFile, WriteOptions } from './writer/options.ts';
export type { FileCopy, ImagePart } from './writer/output.ts';
