/** RAFS under Node: faster codecs, compressors, encryption, blobs as files. */
export { BlobFiles, createBlobFile } from './blob-files.ts';
export { checkBlobNames } from './check-names.ts';
export { nodeCodecs } from './codecs.ts';
export { commandNeeds } from './command/needs.ts';
export { type EncoderOptions, nodeEncoders } from './encoders.ts';
export {
  type ErofsIndexOptions,
  indexAsErofs,
  openErofsIndex,
} from './erofs-index.ts';
export { findHints } from './hints.ts';
export { bootstrapLayer } from './rafs-layers.ts';
export { type ReferenceVariantOptions, rafsReferenceVariant } from './reference-variant.ts';
export { EROFS_INDEX, rafsBeside } from './referrers.ts';
export { formatTrace, parseTrace, type Trace, TraceRecorder } from './trace.ts';
export { openRafsLayers, rafsVariant } from './variant.ts';
