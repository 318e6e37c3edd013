import type { Source } from '@anole/bytes';
import { sliceSource } from '../slice.ts';
import type { TarMember } from './entry.ts';
import { sparseContent } from './sparse-content.ts';

/** A file of an archive by ranges, holes as zeros. It reads from the archive, which must stay open. */
export function memberSource(
  archive: Source,
  { dataOffset, storedSize, extents, size }: TarMember,
): Source {
  const stored = sliceSource(archive, dataOffset, storedSize);
  return extents ? sparseContent(stored, extents, size) : stored;
}
