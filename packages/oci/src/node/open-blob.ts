import type { Source } from '@anole/bytes';
import { fileSource } from '@anole/host';
import { blobSource } from '../blob-source.ts';
import type { BlobOptions, ImageReader } from '../content.ts';
import type { Descriptor } from '../manifest.ts';

/** A blob by ranges, wherever it is: a file where it is one, else requests for what is read. */
export function openBlob(
  reader: ImageReader,
  descriptor: Descriptor,
  options: Pick<BlobOptions, 'fresh'> = {},
): Source {
  const path = reader.pathOf?.(descriptor);
  return path === undefined ? blobSource(reader, descriptor, options) : fileSource(path);
}
