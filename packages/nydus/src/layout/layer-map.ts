import { bytes, pad, struct, u8, u16, u32, u53 } from '@anole/bytes';

/**
 * A map of a layer: where the data of its files lie in its archive, and how any part of the archive is made from the
 * layer as it is stored. A header, a record for each file with data, a record for each span; all of that is one frame
 * of zstd. A format of our own: docs/formats/erofs-index.md.
 */
export const MAP_MAGIC = 0x50414d4c;
export const MAP_VERSION = 1;

/** How spans are decoded, and what their digests are of. */
export const mapCodecs = {
  /** They are the archive. The digest is of them. */
  none: 0,
  /** From a block of a deflate stream on. The digest is of what they decode to, which the windows decide as well. */
  gzip: 1,
  /** Each is a frame of zstd. The digest is of the frame. */
  zstd: 2,
} as const;

export const MAP_HEADER_SIZE = 40;
export const MapHeader = struct('layer_map_header', MAP_HEADER_SIZE, {
  /** "LMAP". */
  magic: u32,
  version: u16,
  codec: u16,
  files: u32,
  spans: u32,
  /** Bytes of the layer as it is stored, and of its archive. */
  storedSize: u53,
  size: u53,
  /** Bytes of all windows, as they are stored. */
  windowsSize: u53,
});

export const MAP_FILE_SIZE = 16;
/** In the order of the archive. Those without data have none, and sparse ones that of what is stored of them. */
export const MapFile = struct('layer_map_file', MAP_FILE_SIZE, {
  /** First byte in the archive. */
  start: u53,
  size: u53,
});

export const MAP_SPAN_SIZE = 64;
/** In the order of the archive, which they make together. */
export const MapSpan = struct('layer_map_span', MAP_SPAN_SIZE, {
  /** Where it is stored: from the byte that has its first bit, to before `end`. */
  start: u53,
  end: u53,
  /** Its first byte in the archive. */
  out: u53,
  /** Bytes of its window as it is stored: behind those of the spans before it, a frame of zstd each. */
  window: u32,
  /** High bits of its first byte with which it begins, 1 to 7; 0 for all of it. */
  bits: u8,
  reserved: pad(3),
  /** SHA-256. */
  digest: bytes(32),
});
