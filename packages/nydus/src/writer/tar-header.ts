import { TAR_HEADER_SIZE } from '../layout/toc.ts';

/**
 * The header behind a part of a blob: a regular file of GNU's tar, which says nothing but its name and
 * size. Source: nydus builder/src/core/context.rs, write_tar_header.
 */
export function tarHeader(name: string, size: number): Uint8Array {
  const header = new Uint8Array(TAR_HEADER_SIZE);
  const put = (text: string, at: number) => header.set(new TextEncoder().encode(text), at);
  put(name, 0);
  put(`${size.toString(8).padStart(11, '0')}\0`, 124);
  put('00000000000\0', 136);
  // The checksum counts itself as blanks.
  put('        ', 148);
  put('0', 156);
  put('ustar  \0', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(7, '0')}\0`, 148);
  return header;
}
