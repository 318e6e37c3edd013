import { checkRange, type Source } from '@anole/bytes';

/** A part of a Source, as a Source. Closing it leaves the whole open. */
export function sliceSource(whole: Source, start: number, size: number): Source {
  checkRange(start, size, whole.size);
  return {
    size,
    read(offset, length, options) {
      checkRange(offset, length, size);
      return whole.read(start + offset, length, options);
    },
    ...(whole.readInto && {
      readInto(offset: number, target: Uint8Array) {
        checkRange(offset, target.length, size);
        whole.readInto!(start + offset, target);
      },
    }),
  };
}
