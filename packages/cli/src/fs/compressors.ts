import { readFileSync } from 'node:fs';
import type { CompressionRule, Compressor, CompressorOptions } from '@anole/erofs';
import { hostError } from '@anole/host';
import { linearExpression } from './expressions.ts';
import { WrongFlag } from './features.ts';

const names: readonly string[] = ['lz4', 'lz4hc', 'lzma', 'deflate', 'zstd'] satisfies Compressor[];

/** Names of mkfs.erofs. */
const bitsBy = { lc: 'literalContext', lp: 'literalPosition', pb: 'position' } as const;

type LzmaBits = NonNullable<CompressorOptions['lzmaBits']>;

/**
 * What `-z` names: compressors separated by colons, each with options of its own. The first is the
 * usual one, the others are for hints.
 *
 * @throws WrongFlag
 */
export function compressorsOf(text: string): readonly [CompressorOptions, ...CompressorOptions[]] {
  const [first = '', ...others] = text.split(':');
  return [compressorOf(first), ...others.map(compressorOf)];
}

function compressorOf(text: string): CompressorOptions {
  const [name = '', ...options] = text.split(',');
  if (!names.includes(name)) {
    throw new WrongFlag(
      `Cannot compress by ${name}: give ${names.join(', ')}, perhaps with ,level=N`,
    );
  }
  const chosen: { level?: number; windowSize?: number } = {};
  const lzmaBits: { -readonly [Bits in keyof LzmaBits]?: number } = {};
  for (const [at, option] of options.entries()) {
    const [, key = 'level', text] = /^(?:(level|dictsize|lc|lp|pb)=)?(\d+)$/.exec(option) ?? [];
    // Only the first may be a mere number.
    if (text === undefined || (at > 0 && !option.includes('='))) {
      throw new WrongFlag(
        `Cannot read the compressor's options ${options.join(',')}: give level=N, dictsize=BYTES or, of lzma, lc=, lp= and pb=BITS`,
      );
    }
    const value = Number(text);
    if (key === 'level') chosen.level = value;
    else if (key === 'dictsize') chosen.windowSize = value;
    else lzmaBits[bitsBy[key as keyof typeof bitsBy]] = value;
  }
  const hasBits = Object.keys(lzmaBits).length > 0;
  return { compressor: name as Compressor, ...chosen, ...(hasBits && { lzmaBits }) };
}

/**
 * What `-m` names: bytes of a pcluster, and perhaps behind a colon a compressor, or the number of one that `-z` named.
 *
 * @param compressors those of `-z`; the first is for metadata, too, unless told
 * @throws WrongFlag
 */
export function metadataOf(
  text: string,
  compressors: readonly CompressorOptions[],
): CompressorOptions {
  const [, size, named = '0'] = /^(\d+)(?::(.+))?$/.exec(text) ?? [];
  if (size === undefined) {
    throw new WrongFlag(`Cannot use -m ${text}: give bytes of a unit, perhaps with :COMPRESSOR`);
  }
  const by = /^\d+$/.test(named) ? compressors[Number(named)] : compressorOf(named);
  if (by !== undefined) return { ...by, pclusterSize: Number(size) };
  throw new WrongFlag(`Cannot use -m ${text}: -z names no compressor of number ${named}`);
}

/**
 * Rules from a file of hints: on each line the bytes of a pcluster (0: do not compress), perhaps the
 * number of a compressor, and an expression that paths match.
 *
 * @throws WrongFlag for a line that is none; HostError
 */
export function hintsOf(
  file: string,
  compressors: readonly CompressorOptions[],
): CompressionRule[] {
  const rules: CompressionRule[] = [];
  for (const [index, line] of readText(file).split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const wrong = (reason: string) =>
      new WrongFlag(`Cannot use line ${index + 1} of ${file}: ${reason}`);
    const [, size, number = '0', pattern] = /^(\d+)[ \t]+(?:(\d+)[ \t]+)?(.+)$/.exec(line) ?? [];
    if (pattern === undefined) throw wrong('give bytes, perhaps a number, and an expression');
    const compressor = compressors[Number(number)];
    if (compressor === undefined) throw wrong(`-z names no compressor of number ${number}`);
    const expression = expressionOf(pattern.trimEnd(), wrong);
    const by = Number(size) === 0 ? undefined : { ...compressor, pclusterSize: Number(size) };
    rules.push({ matches: (path) => expression.test(path), by });
  }
  return rules;
}

/** @throws HostError */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw hostError(error, `read ${file}`);
  }
}

function expressionOf(pattern: string, wrong: (reason: string) => WrongFlag): RegExp {
  try {
    return linearExpression(pattern);
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}
