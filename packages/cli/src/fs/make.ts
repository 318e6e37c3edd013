import { once } from 'node:events';
import { writeErofsFile } from '@anole/compose/compress';
import { type ErofsImage, type WriteOptions, writeErofs } from '@anole/erofs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { type ChoiceFlags, choicesOf } from './choices.ts';
import { type CompressionFlags, compressionOf } from './compression.ts';
import { openInput } from './input.ts';

interface MakeFlags extends CompressionFlags, ChoiceFlags {
  readonly name?: string;
  readonly uuid?: string;
  readonly time?: string;
  readonly blockSize: string;
  readonly inline: boolean;
  readonly extended?: boolean;
}

export async function makeAction(
  context: CommandContext,
  source: string,
  flags: MakeFlags,
): Promise<number> {
  await using resources = new AsyncDisposableStack();
  const compression = compressionOf(flags, resources, 'fs mk');
  const options = { ...optionsOf(flags, context), ...(compression && { compression }) };
  const { output } = flags;
  const { xattrs = true } = options;
  using input = await openInput(source, { output, xattrs }, context);
  if (flags.output === '-') {
    await toStdout(await writeErofs(input.tree, options));
    return 0;
  }
  const image = await writeErofsFile(flags.output, input.tree, options);
  const { size, inodes } = image;
  const uuid = Buffer.from(image.uuid).toString('hex');
  context.endProgress();
  if (context.json) context.out(JSON.stringify({ image: flags.output, size, inodes, uuid }));
  else context.out(`${flags.output}: ${inodes} inodes, ${size} bytes`);
  return 0;
}

async function toStdout(image: ErofsImage): Promise<void> {
  if (process.stdout.isTTY) throw usageError('Cannot print an image on a terminal', 'fs mk');
  for await (const chunk of image) {
    if (!process.stdout.write(chunk.slice())) await once(process.stdout, 'drain');
  }
}

function optionsOf(flags: MakeFlags, context: CommandContext): WriteOptions {
  const { name, uuid, time } = flags;
  return {
    signal: context.signal,
    onProgress: context.progress,
    blockSize: Number(flags.blockSize),
    ...choicesOf(flags),
    inlineTails: flags.inline,
    inodes: flags.extended ? 'extended' : 'auto',
    ...(name !== undefined && { volumeName: name }),
    ...(uuid !== undefined && { uuid: uuidOf(uuid) }),
    ...(time !== undefined && { time: timeOf(time) }),
  };
}

function uuidOf(text: string): Uint8Array {
  const hex = text.replaceAll('-', '');
  if (/^[0-9a-f]{32}$/i.test(hex)) return new Uint8Array(Buffer.from(hex, 'hex'));
  throw usageError(`Cannot read the UUID ${text}: it has 32 hexadecimal digits`, 'fs mk');
}

function timeOf(text: string): { seconds: number; nanoseconds: number } {
  const seconds = Number(text);
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(seconds)) return { seconds, nanoseconds: 0 };
  throw usageError(`Cannot read the time ${text}: give seconds since 1970`, 'fs mk');
}
