import { pad, struct, u8, u16, u32 } from '@anole/bytes';
import type { FileType } from '@anole/vfs';

export const DIRENT_SIZE = 12;
export const NAME_MAX = 255;

/**
 * Source: erofs-utils include/erofs_fs.h, struct erofs_dirent. A directory block is these records,
 * sorted by the bytes of their names, then the names. The first record's `nameOffset` tells how many
 * there are; a name ends where the next begins, the last one at the end of the block or a NUL.
 */
export const Dirent = struct('erofs_dirent', DIRENT_SIZE, {
  nidLow: u32,
  nidHigh: u32,
  nameOffset: u16,
  fileType: u8,
  reserved: pad(1),
});

/** By `fileType`; 0 is unknown. Source: erofs_fs.h, EROFS_FT_*. */
export const fileTypes: readonly (FileType | undefined)[] = [
  undefined,
  'file',
  'directory',
  'character',
  'block',
  'fifo',
  'socket',
  'symlink',
];
