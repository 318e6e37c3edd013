import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, relative, resolve } from 'node:path';
import { type ErofsFile, writeErofsFile } from '@anole/compose/compress';
import {
  type CompressionOptions,
  type ErofsImage,
  TAR_BLOCK,
  type WriteOptions,
  writeErofs,
} from '@anole/erofs';
import { createFileAtomically, scratchFile } from '@anole/host';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { keepHeapSmall } from '../heap.ts';
import { optimizeLate } from '../optimize-late.ts';
import { type ChoiceFlags, choicesOf } from './choices.ts';
import { type CompressionFlags, compressionOf } from './compression.ts';
import { featuresOf, WrongFlag } from './features.ts';
import { OpenImage } from './image.ts';
import { openMakeSource, type SourceFlags } from './make-source.ts';
import { checkPlaces } from './places.ts';
import { SECTOR, vmdkDescriptor } from './vmdk.ts';

const UUID_SIZE = 16;
/** Most trees have fewer files: see docs/decisions/0281-optimized-later-still.md. */
const LATE_CALLS = 300_000;

interface MakeFlags extends CompressionFlags, ChoiceFlags, SourceFlags {
  readonly output: string;
  readonly offset?: string;
  readonly name?: string;
  readonly uuid?: string;
  readonly time?: string;
  readonly allTime?: boolean;
  readonly mkfsTime?: boolean;
  readonly blockSize?: string;
  readonly inline: boolean;
  readonly extended?: boolean;
  readonly chunksize?: string;
  readonly blobdev?: string;
  readonly dsunit?: string;
  readonly fsalignblks?: string;
  readonly reuse?: string;
  readonly MZ?: string | true;
  readonly vmdkDesc?: string;
}

export async function makeAction(
  context: CommandContext,
  source: string,
  flags: MakeFlags,
): Promise<number> {
  keepHeapSmall();
  optimizeLate(LATE_CALLS);
  checkZone(flags);
  const offset = offsetOf(flags);
  checkDisk(source, flags);
  checkFiles(source, flags);
  await using resources = new AsyncDisposableStack();
  const compression = await reusing(
    compressionOf(flags, resources, 'fs mk'),
    flags,
    context,
    resources,
  );
  const chosen = optionsOf(flags, context, resources);
  const { output, blobdev } = flags;
  const from = resources.use(await openMakeSource(source, flags, context));
  const { tree, external, first, base } = from;
  const options = {
    ...chosen,
    ...(compression && { compression: { ...(base && { reuse: base }), ...compression } }),
    ...(external && { external }),
    ...(first && { first }),
  };
  if (output === '-') {
    if (blobdev !== undefined) throw usageError('Cannot print an image of two files', 'fs mk');
    if (offset > 0) throw usageError('Cannot skip bytes of stdout', 'fs mk');
    if (flags.vmdkDesc) throw usageError('Cannot describe a disk of stdout', 'fs mk');
    await toStdout(await writeErofs(tree, options));
    return 0;
  }
  const image = await writeErofsFile(output, tree, options, {
    ...(blobdev !== undefined && { blob: { path: blobdev } }),
    offset,
  });
  await describeDisk(image, source, flags);
  context.endProgress();
  report(context, image, flags);
  return 0;
}

function offsetOf({ offset = '0', incremental }: MakeFlags): number {
  const bytes = Number(offset);
  if (!/^\d+$/.test(offset) || !Number.isSafeInteger(bytes)) {
    throw usageError(`Cannot use --offset ${offset}: give a number of bytes`, 'fs mk');
  }
  if (bytes === 0 || incremental === undefined) return bytes;
  throw usageError('Cannot use --offset with --incremental: the old image begins at 0', 'fs mk');
}

/** Inodes lie together in every image, and directories behind them. */
function checkZone({ MZ }: MakeFlags): void {
  if (MZ === undefined || MZ === true || /^(?:id?|di)$/.test(MZ)) return;
  throw usageError(`Cannot use --MZ=${MZ}: metadata always lie together, give i or id`, 'fs mk');
}

/** With the image that compressed data may be taken over from. */
async function reusing(
  compression: CompressionOptions | undefined,
  { reuse }: MakeFlags,
  { signal }: CommandContext,
  resources: AsyncDisposableStack,
): Promise<CompressionOptions | undefined> {
  if (reuse === undefined) return compression;
  if (compression === undefined) {
    throw usageError('Cannot use --reuse without a compressor: give -z too', 'fs mk');
  }
  const image = resources.use(await OpenImage.open(reuse, 'much', signal));
  return { ...compression, reuse: image };
}

/** What is made may take the place of the image that data are taken over from, and of no other file. */
function checkFiles(source: string, { output, blobdev, vmdkDesc, device = [] }: MakeFlags): void {
  checkPlaces(
    [
      ['-o', output],
      ['--blobdev', blobdev],
      ['--vmdk-desc', vmdkDesc],
    ],
    [['the source', source], ...device.map((path) => ['--device', path] as const)],
  );
}

/** Refuses, before anything is written, what no descriptor of a disk can name or count in whole sectors. */
function checkDisk(source: string, flags: MakeFlags): void {
  const { vmdkDesc, output, blobdev, tar, offset = '0' } = flags;
  if (vmdkDesc === undefined || output === '-') return;
  const archive = tar === 'i' ? source : undefined;
  for (const path of [output, blobdev, archive]) {
    if (path === undefined || !/["\n]/.test(pathInDisk(path, vmdkDesc))) continue;
    throw usageError(`Cannot name ${path} in a descriptor of a disk`, 'fs mk');
  }
  if (Number(offset) % SECTOR !== 0) {
    throw usageError(
      `Cannot describe a disk with --offset ${offset}: it has sectors of 512`,
      'fs mk',
    );
  }
  const size = archive === undefined ? 0 : statSync(archive).size;
  if (size % SECTOR === 0) return;
  throw usageError(
    `Cannot describe a disk with ${archive}: its ${size} bytes are no multiple of 512, append zeros`,
    'fs mk',
  );
}

function pathInDisk(path: string, descriptor: string): string {
  return relative(dirname(descriptor), path);
}

/** Writes what makes one virtual disk of an image and the devices beside it. */
async function describeDisk(
  { size, blobSize, uuid }: ErofsFile,
  source: string,
  { output, blobdev, tar, vmdkDesc, offset = '0' }: MakeFlags,
): Promise<void> {
  if (vmdkDesc === undefined) return;
  const parts = [{ path: output, size: Number(offset) + size }];
  if (blobdev !== undefined) parts.push({ path: blobdev, size: blobSize });
  if (tar === 'i') parts.push({ path: source, size: statSync(source).size });
  const named = parts.map((part) => ({ ...part, path: pathInDisk(part.path, vmdkDesc) }));
  await createFileAtomically(vmdkDesc, (file) => file.writeFile(vmdkDescriptor(named, uuid)));
}

function report(
  context: CommandContext,
  { size, inodes, uuid: bytes, blobSize }: ErofsFile,
  { output, blobdev }: MakeFlags,
): void {
  const uuid = Buffer.from(bytes).toString('hex');
  const blob = blobdev === undefined ? {} : { blob: blobdev, blobSize };
  if (context.json) context.out(JSON.stringify({ image: output, size, inodes, uuid, ...blob }));
  else {
    const beside = blobdev === undefined ? '' : `; ${blobdev}: ${blobSize} bytes`;
    context.out(`${output}: ${inodes} inodes, ${size} bytes${beside}`);
  }
}

async function toStdout(image: ErofsImage): Promise<void> {
  if (process.stdout.isTTY) throw usageError('Cannot print an image on a terminal', 'fs mk');
  for await (const chunk of image) {
    if (!process.stdout.write(chunk.slice())) await once(process.stdout, 'drain');
  }
}

function optionsOf(
  flags: MakeFlags,
  context: CommandContext,
  resources: AsyncDisposableStack,
): WriteOptions {
  const { name, uuid, tar } = flags;
  const blockSize = Number(flags.blockSize ?? (tar === 'i' ? TAR_BLOCK : 4096));
  return {
    signal: context.signal,
    onProgress: context.progress,
    blockSize,
    ...choicesOf(flags),
    ...layoutOf(flags, resources, blockSize),
    ...(name !== undefined && { volumeName: name }),
    ...(uuid !== undefined && { uuid: uuidOf(uuid) }),
    ...timesOf(flags),
  };
}

/** How inodes and data are stored, but for compression. */
function layoutOf(
  flags: MakeFlags,
  resources: AsyncDisposableStack,
  blockSize: number,
): WriteOptions {
  const { inline, extended, chunksize, output, dsunit, fsalignblks } = flags;
  const chosen = chosenFeatures(flags);
  const { inlineTails = true, inodes = 'auto', indexes = false } = chosen;
  const { compactTimes, listDots = true, checksum = true } = chosen;
  const directory = output === '-' ? tmpdir() : dirname(resolve(output));
  const spool = () => resources.use(scratchFile(directory));
  return {
    inlineTails: inline && inlineTails,
    inodes: extended ? 'extended' : inodes,
    ...(compactTimes !== undefined && { compactTimes }),
    listDots,
    checksum,
    ...(fsalignblks !== undefined && { sizeAlignment: Number(fsalignblks) * blockSize }),
    ...(dsunit !== undefined && { dataAlignment: Number(dsunit) * blockSize }),
    ...(chunksize !== undefined && { chunks: { size: Number(chunksize), indexes, spool } }),
  };
}

function chosenFeatures({ features = [], chunksize, blobdev }: MakeFlags) {
  try {
    const chosen = featuresOf(features);
    if (chosen.indexes !== undefined && chunksize === undefined) {
      throw new WrongFlag('Cannot choose how chunks are addressed without --chunksize');
    }
    if (chosen.indexes === false && blobdev !== undefined) {
      throw new WrongFlag('Cannot use force-inode-blockmap with --blobdev: 4 bytes name no device');
    }
    return chosen;
  } catch (error) {
    throw error instanceof WrongFlag ? usageError(error.message, 'fs mk') : error;
  }
}

function uuidOf(text: string): Uint8Array {
  if (text === 'clear') return new Uint8Array(UUID_SIZE);
  if (text === 'random') return randomUuid();
  const hex = text.replaceAll('-', '');
  if (/^[0-9a-f]{32}$/i.test(hex)) return new Uint8Array(Buffer.from(hex, 'hex'));
  throw usageError(`Cannot read the UUID ${text}: it has 32 hexadecimal digits`, 'fs mk');
}

/** Version 4 of RFC 9562. */
function randomUuid(): Uint8Array {
  const uuid = new Uint8Array(randomBytes(UUID_SIZE));
  uuid[6] = (uuid[6]! & 0x0f) | 0x40;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}

function timesOf({
  time,
  allTime = false,
  mkfsTime = false,
}: MakeFlags): Pick<WriteOptions, 'time' | 'buildTime'> {
  if (allTime && mkfsTime) throw usageError('Cannot use --all-time with --mkfs-time', 'fs mk');
  if (time === undefined) {
    if (!mkfsTime) return {};
    throw usageError('Cannot use --mkfs-time without a time: give -T too', 'fs mk');
  }
  const seconds = Number(time);
  if (!/^-?\d+$/.test(time) || !Number.isSafeInteger(seconds)) {
    throw usageError(`Cannot read the time ${time}: give seconds since 1970`, 'fs mk');
  }
  return mkfsTime ? { buildTime: seconds } : { time: { seconds, nanoseconds: 0 } };
}
