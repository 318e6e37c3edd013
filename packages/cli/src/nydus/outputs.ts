import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { VerityBuilder } from '@anole/bytes/verity';
import { createFileAtomically, writeFileAtomically } from '@anole/host';
import { compactRafs, rafsDisk } from '@anole/nydus';
import { createBlobFile, nodeEncoders } from '@anole/nydus/node';
import { writeTar } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { type DictionaryFlags, dictionaryOf } from './dictionary.ts';
import { type BlobFlags, namedImage, openRafsFile } from './open.ts';

interface OutputFlags extends BlobFlags {
  readonly output: string;
}

/** The files of an image as a tar archive. */
export async function unpackAction(
  context: CommandContext,
  file: string,
  flags: OutputFlags,
): Promise<number> {
  using opened = await openRafsFile(file, flags);
  const { output } = flags;
  const tar = writeTar(opened.image, { signal: context.signal, onProgress: context.progress });
  if (output === '-') {
    if (process.stdout.isTTY)
      throw usageError('Cannot print an archive on a terminal', 'nydus unpack');
    for await (const chunk of tar) {
      if (!process.stdout.write(chunk.slice())) await once(process.stdout, 'drain');
    }
    return 0;
  }
  await writeFileAtomically(output, tar, { signal: context.signal });
  context.endProgress();
  if (context.json) context.out(JSON.stringify({ archive: output }));
  else context.out(output);
  return 0;
}

interface CompactFlags extends BlobFlags, DictionaryFlags {
  readonly bootstrap: string;
  readonly outputDir?: string;
  readonly minUsedRatio: string;
}

export async function compactAction(
  context: CommandContext,
  file: string,
  flags: CompactFlags,
): Promise<number> {
  using opened = await openRafsFile(file, flags);
  const ratio = Number(flags.minUsedRatio);
  if (!(ratio >= 0 && ratio <= 101)) {
    throw usageError(`Cannot take ${flags.minUsedRatio} for --min-used-ratio`, 'nydus compact');
  }
  const directory = flags.outputDir ?? flags.blobDir?.[0];
  if (directory === undefined) throw usageError('Give a directory by -D', 'nydus compact');
  const call = { signal: context.signal, onProgress: context.progress };
  const { image, self } = await namedImage(opened, context.signal);
  const dictionary = await dictionaryOf(flags, context);
  const options = {
    encoders: nodeEncoders(),
    minUsed: ratio / 100,
    ...(self && { self }),
    ...(dictionary && { dictionary }),
    ...call,
  };
  const written = await createBlobFile(directory, (sink) => compactRafs(image, sink, options));
  await writeFileAtomically(flags.bootstrap, written.bootstrap);
  context.endProgress();
  const { blob, blobs } = written;
  const ids = blobs.map(({ id }) => id);
  if (context.json)
    context.out(JSON.stringify({ bootstrap: flags.bootstrap, blob, blobs: ids }, null, 2));
  else {
    context.out(`${flags.bootstrap}: ${ids.length} blobs, of ${opened.image.blobs.length} before`);
    if (blob) context.out(`${blob.id}: ${blob.chunks} chunks, ${blob.size} bytes`);
  }
  return 0;
}

interface ExportFlags extends OutputFlags {
  readonly verity?: boolean;
}

/** An image as one disk, with the hashes of dm-verity behind it where they are wanted. */
export async function exportAction(
  context: CommandContext,
  file: string,
  flags: ExportFlags,
): Promise<number> {
  using opened = await openRafsFile(file, flags);
  const { output } = flags;
  const call = { signal: context.signal, onProgress: context.progress };
  const disk = await rafsDisk(opened.image, opened.bootstrap, call);
  const builder = flags.verity ? new VerityBuilder(sha256) : undefined;
  let rootHash: string | undefined;
  await createFileAtomically(output, async (target) => {
    for await (const piece of disk) {
      builder?.update(piece);
      await target.writeFile(piece);
    }
    if (builder === undefined) return;
    const tree = builder.finish();
    rootHash = Buffer.from(tree.rootHash).toString('hex');
    await target.writeFile(tree.bytes);
  });
  context.endProgress();
  const facts = {
    disk: output,
    size: disk.size,
    ...(rootHash && { hashOffset: disk.size, rootHash }),
  };
  if (context.json) context.out(JSON.stringify(facts, null, 2));
  else {
    context.out(`${output}: ${disk.size} bytes`);
    if (rootHash) context.out(`dm-verity: --hash-offset ${disk.size}, root hash ${rootHash}`);
  }
  return 0;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
