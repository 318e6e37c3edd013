import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { CompressPool } from '@anole/compose/compress';
import type { CompressionOptions } from '@anole/erofs';
import { scratchFile } from '@anole/host';
import { usageError } from '../frame.ts';
import { compressorsOf, hintsOf } from './compressors.ts';
import { compressionFeaturesOf, featuresOf, WrongFlag } from './features.ts';

/** What commands take about compression, by the names of mkfs.erofs. */
export interface CompressionFlags {
  readonly output: string;
  readonly compress?: string;
  readonly pclusterSize?: string;
  readonly features?: readonly string[];
  readonly compressHints?: string;
  readonly maxExtentBytes?: string;
  readonly threads?: string;
}

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
    return settle(flags, resources, command);
  } catch (error) {
    throw error instanceof WrongFlag ? usageError(error.message, command) : error;
  }
}

function settle(
  flags: CompressionFlags,
  resources: AsyncDisposableStack,
  command: string,
): CompressionOptions | undefined {
  const parse = command === 'fs mk' ? featuresOf : compressionFeaturesOf;
  const { tails, packedPclusterSize, allFragments, dedupe } = parse(flags.features ?? []);
  const { compress, pclusterSize, threads, output, compressHints, maxExtentBytes } = flags;
  if (compress === undefined) {
    const idle = Object.entries({
      '-C': pclusterSize,
      '-E': tails ?? dedupe,
      '--compress-hints': compressHints,
      '--max-extent-bytes': maxExtentBytes,
    });
    const [name] = idle.find(([, value]) => value !== undefined) ?? [];
    if (name) throw new WrongFlag(`Cannot use ${name} without a compressor: give -z too`);
    return undefined;
  }
  const size = pclusterSize === undefined ? {} : { pclusterSize: Number(pclusterSize) };
  const compressors = compressorsOf(compress);
  const rules = compressHints === undefined ? [] : hintsOf(compressHints, compressors);
  const pool = resources.use(new CompressPool(threads === undefined ? undefined : count(threads)));
  const directory = output === '-' ? tmpdir() : dirname(resolve(output));
  return {
    ...compressors[0],
    ...size,
    rules,
    ...(allFragments !== undefined && { allFragments }),
    ...(dedupe !== undefined && { dedupe }),
    ...(maxExtentBytes !== undefined && { maxExtentBytes: Number(maxExtentBytes) }),
    ...(tails !== undefined && { tails }),
    ...(packedPclusterSize !== undefined && { packedPclusterSize }),
    lanes: pool.lanes,
    spool: () => resources.use(scratchFile(directory)),
  };
}

function count(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new WrongFlag(`Cannot use ${text} threads: give 1 to 64`);
}
