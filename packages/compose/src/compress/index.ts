/**
 * Compressing EROFS images on several threads, and writing them to files.
 *
 * @example
 * await using pool = new CompressPool();
 * await writeErofsFile('rootfs.erofs', tree, { compression: { compressor: 'lz4', lanes: pool.lanes } });
 */
export { type ErofsFile, writeErofsFile } from './erofs-file.ts';
export { CompressPool } from './pool.ts';
