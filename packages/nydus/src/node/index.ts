/** RAFS under Node: faster codecs, compressors, encryption, blobs as files. */
export { BlobFiles, createBlobFile } from './blob-files.ts';
export { checkBlobNames } from './check-names.ts';
export { nodeCodecs } from './codecs.ts';
export { commandNeeds } from './command/needs.ts';
export { type EncoderOptions, nodeEncoders } from './encoders.ts';
export { ErofsIndexMaker, type ErofsIndexOptions, indexAsErofs } from './erofs-index.ts';
export { findHints } from './hints.ts';
export type { ImageMap, MappedLayer } from './layer-map/image-map.ts';
export { mappedTree } from './mapped-tree.ts';
export { bootstrapLayer } from './rafs-layers.ts';
export { type ReferenceVariantOptions, rafsReferenceVariant } from './reference-variant.ts';
export { boundMap, EROFS_INDEX_DIGEST, mapBeside, rafsBeside } from './referrers.ts';
export { formatTrace, parseTrace, type Trace, TraceRecorder } from './trace.ts';
export { openRafsLayers, rafsVariant } from './variant.ts';
