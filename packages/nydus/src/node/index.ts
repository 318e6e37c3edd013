/** RAFS under Node: faster codecs, compressors, encryption, blobs as files. */
export { BlobFiles, createBlobFile } from './blob-files.ts';
export { checkBlobNames } from './check-names.ts';
export { nodeCodecs } from './codecs.ts';
export { type EncoderOptions, nodeEncoders } from './encoders.ts';
export { findHints } from './hints.ts';
export { formatTrace, parseTrace, type Trace, TraceRecorder } from './trace.ts';
export { bootstrapLayer, openRafsLayers, rafsVariant } from './variant.ts';
