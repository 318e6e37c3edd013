/** RAFS under Node: faster codecs, compressors, and encryption. */
export { nodeCodecs } from './codecs.ts';
export { type EncoderOptions, nodeEncoders } from './encoders.ts';
