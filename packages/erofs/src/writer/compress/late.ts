import type { CallOptions } from '@anole/bytes';
import { directoryBlocks } from '../directory.ts';
import { prefixesPlace } from '../front.ts';
import { HeadWriter } from '../heads.ts';
import type { Inode } from '../inode.ts';
import { encodeLongPrefixes } from '../long-prefixes.ts';
import { Output } from '../output.ts';
import type { Plan } from '../plan.ts';
import { unnamedInode } from '../unnamed-inode.ts';
import { FileBuilder } from './file-builder.ts';
import type { CompressionSettings } from './options.ts';
import { Queue } from './queue.ts';
import type { Spool } from './spool.ts';

/**
 * Compressed metadata: directories, whose entries have the numbers of all inodes, and the metabox, whose inodes
 * have the places of all data. They lie behind all else.
 */
export interface LateData {
  /** In whole blocks, from byte 0 on. */
  readonly spool: Spool;
  readonly blocks: number;
}

/** Compresses what a plan has to be compressed last. Undefined where there is nothing. */
export async function storeLate(layout: Plan, call: CallOptions): Promise<LateData | undefined> {
  const { settings, directories, metabox } = layout;
  const { compression } = settings;
  if (compression === undefined || (directories.length === 0 && !metabox)) return undefined;
  const spool = await compression.spool();
  const late = new LateWriter(layout, compression, spool, call);
  await late.add(directories, 0, (inode) => directoryReader(inode, settings.blockSize));
  if (metabox) {
    const content = await metadataOf(layout, await compression.spool());
    const read = (offset: number, length: number) =>
      content.read(offset, Math.max(Math.min(length, metabox.size - offset), 0));
    await late.add([metabox], compression.metadataVariant ?? 0, () => read);
  }
  return { spool, blocks: late.blocks };
}

type Read = Parameters<typeof unnamedInode>[0]['read'];

function directoryReader({ directory }: Inode, blockSize: number): Read {
  return (offset, length) => {
    const blocks = [...directoryBlocks(directory!, blockSize)];
    const bytes = new Uint8Array(blocks.reduce((sum, block) => sum + block.length, 0));
    for (const [index, block] of blocks.entries()) bytes.set(block, index * blockSize);
    return bytes.subarray(offset, offset + length);
  };
}

/** What lies in the metabox. */
async function metadataOf(layout: Plan, spool: Spool): Promise<Spool> {
  const { settings, inside, metabox } = layout;
  const output = new Output();
  if (prefixesPlace(settings) === 'metabox') {
    output.append(encodeLongPrefixes(settings.xattrPrefixes));
  }
  const write = async (parts: AsyncIterable<{ offset: number; bytes: Uint8Array }>) => {
    for await (const { offset, bytes } of parts) await spool.write(offset, bytes);
  };
  await write(new HeadWriter(layout, output).write(inside, 0));
  for (const { offset, bytes } of output.skipTo(metabox!.size)) await spool.write(offset, bytes);
  for (const { offset, bytes } of output.flush()) await spool.write(offset, bytes);
  return spool;
}

/** Compresses inodes one after another, in blocks behind all others of the image. */
class LateWriter {
  readonly #layout: Plan;
  readonly #settings: CompressionSettings;
  readonly #builder: FileBuilder;
  readonly #call: CallOptions;

  constructor(layout: Plan, settings: CompressionSettings, spool: Spool, call: CallOptions) {
    this.#layout = layout;
    this.#settings = settings;
    this.#call = call;
    const outputs = { blocks: spool, ends: undefined, packed: undefined, shared: undefined };
    // Room for indexes was made already.
    this.#builder = new FileBuilder(settings, outputs, true);
  }

  get blocks(): number {
    return this.#builder.blocks;
  }

  async add(
    inodes: readonly Inode[],
    variant: number,
    readerOf: (inode: Inode) => Read,
  ): Promise<void> {
    const total = inodes.reduce((sum, { size }) => sum + size, 0);
    const queue = new Queue(this.#settings, this.#builder, this.#call, total);
    const contents: Inode[] = [];
    for (const inode of inodes) {
      const { size, name, ino } = inode;
      const content = unnamedInode({ ino, name, size, time: inode, read: readerOf(inode) });
      contents.push(content);
      await queue.add(content, 'plain', variant);
    }
    await queue.drain();
    for (const [index, inode] of inodes.entries()) {
      const compressed = contents[index]!.compressed!;
      inode.compressed = compressed;
      inode.blocks = compressed.blocks;
      inode.startBlock = this.#layout.lateBlock + compressed.firstBlock;
    }
  }
}
