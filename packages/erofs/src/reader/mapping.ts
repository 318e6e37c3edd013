import type { Algorithm } from '../layout/compression-config.ts';

/** Where bytes of a file are stored. */
export interface Mapping {
  /** Byte of the file at which they begin, and how many they are. */
  readonly offset: number;
  readonly length: number;
  /**
   * What `start` counts in: the device, the space of the inode (the image or its metabox), or the
   * packed inode. Nothing is stored of a hole.
   */
  readonly kind: 'device' | 'inode' | 'fragment' | 'hole';
  /** 0 is the image itself, 1 the first device beside it. */
  readonly device: number;
  readonly start: number;
  /** Bytes stored; of fragments and holes 0. */
  readonly size: number;
  /** Undefined where they are not compressed. */
  readonly algorithm: Algorithm | undefined;
  /** What is stored decodes to more than these bytes. */
  readonly partial: boolean;
  /** Of what is not compressed: each byte lies where it would in an uncompressed block, wrapped around. */
  readonly interlaced: boolean;
}
