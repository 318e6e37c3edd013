import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { CompressPool } from '@anole/compose/compress';
import type { CompressionOptions, Compressor } from '@anole/erofs';
import { scratchFile } from '@anole/host';
import { usageError } from '../frame.ts';
import { featuresOf, WrongFlag } from './features.ts';

/** What commands take about compression, by the names of mkfs.erofs. */
export interface CompressionFlags {
  readonly output: string;
  readonly compress?: string;
  readonly pclusterSize?: string;
  readonly features?: readonly string[];
  readonly threads?: string;
}

const compressors: readonly string[] = ['lz4', 'lz4hc', 'deflate', 'zstd'] satisfies Compressor[];

/**
 * Options of the writer; threads and scratch files go to `resources`. Undefined without `-z`.
 *
 * @param command whose help a usage error points to
 */
export function compressionOf(
  flags: CompressionFlags,
  resources: AsyncDisposableStack,
  command: string,
): CompressionOptions | undefined {
  try {
    return settle(flags, resources);
  } catch (error) {
    throw error instanceof WrongFlag ? usageError(error.message, command) : error;
  }
}

function settle(
  flags: CompressionFlags,
  resources: AsyncDisposableStack,
): CompressionOptions | undefined {
  const { tails } = featuresOf(flags.features ?? []);
  const { compress, pclusterSize, threads, output } = flags;
  if (compress === undefined) {
    const idle = pclusterSize !== undefined ? '-C' : tails !== undefined ? '-E' : undefined;
    if (idle) throw new WrongFlag(`Cannot use ${idle} without a compressor: give -z too`);
    return undefined;
  }
  const chosen = compressorOf(compress);
  const pool = resources.use(new CompressPool(threads === undefined ? undefined : count(threads)));
  const directory = output === '-' ? tmpdir() : dirname(resolve(output));
  return {
    ...chosen,
    ...(pclusterSize !== undefined && { pclusterSize: Number(pclusterSize) }),
    ...(tails !== undefined && { tails }),
    lanes: pool.lanes,
    spool: () => resources.use(scratchFile(directory)),
  };
}

function compressorOf(text: string): { readonly compressor: Compressor; readonly level?: number } {
  const [name = '', ...options] = text.split(',');
  if (!compressors.includes(name)) {
    throw new WrongFlag(
      `Cannot compress by ${name}: give ${compressors.join(', ')}, perhaps with ,level=N`,
    );
  }
  const compressor = name as Compressor;
  if (options.length === 0) return { compressor };
  const level = /^(?:level=)?(\d+)$/.exec(options[0]!)?.[1];
  if (level !== undefined && options.length === 1) return { compressor, level: Number(level) };
  throw new WrongFlag(`Cannot read the compressor's options ${options.join(',')}: give level=N`);
}

function count(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new WrongFlag(`Cannot use ${text} threads: give 1 to 64`);
}
