import type { Awaitable } from '@anole/bytes';
import type { BlobSink } from './blob-output.ts';
import { BlobWriter } from './blob-writer.ts';
import type { StoredChunk } from './chunks.ts';
import { FileChunks } from './file-chunks.ts';
import type { WrittenBlob } from './image.ts';
import { type RafsWriteOptions, settle } from './options.ts';

/** A file whose data are stored. */
export interface BlobFile {
  /** For messages. */
  readonly path: string;
  readonly size: number;
  read(offset: number, length: number): Awaitable<Uint8Array>;
  /** As that of a TreeNode. */
  readInto?(offset: number, target: Uint8Array): Awaitable<number>;
}

/**
 * Writes a blob of the data of files, one after another, without a bootstrap: images are written later,
 * by a dictionary that knows its chunks. Nothing is written where there are no data.
 *
 * @throws RafsError as `writeRafs`; what the files and the sink raise
 */
export async function writeRafsBlob(
  files: AsyncIterable<BlobFile>,
  sink: BlobSink,
  options: Omit<RafsWriteOptions, 'inlineBootstrap' | 'prefetch' | 'xattrs'>,
): Promise<{ readonly blob: WrittenBlob | undefined; readonly chunks: readonly StoredChunk[] }> {
  const settings = settle(options);
  const writer = new BlobWriter(sink, settings);
  const store = new FileChunks(settings, writer);
  const chunks = new Set<StoredChunk>();
  for await (const file of files) {
    for (const chunk of await store.store(file, options)) chunks.add(chunk);
  }
  if (writer.chunkCount === 0) return { blob: undefined, chunks: [...chunks] };
  await writer.finishData();
  const id = await writer.finish();
  const blob = { id, size: writer.size, chunks: writer.chunkCount };
  return { blob, chunks: [...chunks] };
}
