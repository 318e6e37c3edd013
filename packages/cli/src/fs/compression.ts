import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { CompressPool } from '@anole/compose/compress';
import type { CompressionOptions, CompressionRule, CompressorOptions } from '@anole/erofs';
import { scratchFile } from '@anole/host';
import { usageError } from '../frame.ts';
import { compressorsOf, hintsOf, metadataOf } from './compressors.ts';
import { compressionFeaturesOf, featuresOf, WrongFlag } from './features.ts';
import { isOn } from './switches.ts';

/** What commands take about compression, by the names of mkfs.erofs. */
export interface CompressionFlags {
  readonly output: string;
  readonly compress?: string;
  readonly pclusterSize?: string;
  readonly features?: readonly string[];
  readonly compressHints?: string;
  readonly maxExtentBytes?: string;
  readonly threads?: string;
  /** The name that mkfs.erofs gives it. */
  readonly workers?: string;
  readonly metadata?: string;
  readonly zD?: string | true;
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
  const { compress, pclusterSize, output } = flags;
  const threads = countOf(flags.threads ?? flags.workers);
  const { compressHints, maxExtentBytes } = flags;
  const directories = isOn('--zD', flags.zD ?? '0');
  if (compress === undefined) {
    const idle = Object.entries({
      '-C': pclusterSize,
      '-E': tails ?? dedupe,
      '--compress-hints': compressHints,
      '--max-extent-bytes': maxExtentBytes,
      '--zD': directories || undefined,
    });
    const [name] = idle.find(([, value]) => value !== undefined) ?? [];
    if (name) throw new WrongFlag(`Cannot use ${name} without a compressor: give -z too`);
  }
  const compressors = compress === undefined ? [] : compressorsOf(compress);
  const metadata =
    flags.metadata === undefined ? undefined : metadataOf(flags.metadata, compressors);
  const [usual = metadata] = compressors;
  if (!usual) return undefined;
  const pool = resources.use(new CompressPool(threads));
  const directory = output === '-' ? tmpdir() : dirname(resolve(output));
  return {
    ...usual,
    ...(metadata && { metadata }),
    directories,
    ...(pclusterSize !== undefined && { pclusterSize: Number(pclusterSize) }),
    rules: rulesOf(compressHints, compressors),
    ...(allFragments !== undefined && { allFragments }),
    ...(dedupe !== undefined && { dedupe }),
    ...(maxExtentBytes !== undefined && { maxExtentBytes: Number(maxExtentBytes) }),
    ...(tails !== undefined && { tails }),
    ...(packedPclusterSize !== undefined && { packedPclusterSize }),
    lanes: pool.lanes,
    spool: () => resources.use(scratchFile(directory)),
  };
}

/** Where nothing but metadata is compressed, no file is. */
function rulesOf(
  hints: string | undefined,
  compressors: readonly CompressorOptions[],
): readonly CompressionRule[] {
  if (compressors.length === 0) return [{ matches: () => true, by: undefined }];
  return hints === undefined ? [] : hintsOf(hints, compressors);
}

function countOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new WrongFlag(`Cannot use ${text} threads: give 1 to 64`);
}
