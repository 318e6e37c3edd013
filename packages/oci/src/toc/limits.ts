/** Bytes of a layer's table of contents at most, compressed or not: what some million files need. */
export const MAX_TOC: number = 256 * 1024 * 1024;
