import { cut } from './digest.ts';
import { OciError } from './errors.ts';
import type { JsonObject } from './json.ts';

/** What an image is for, in Go's words: `linux`, `riscv64`, `arm` with the variant `v7`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  /** What a reader must understand: `erofs` for layers that are EROFS images. Default none. */
  readonly features?: readonly string[];
}

/** Names that people and kernels use for what the images call otherwise. */
const aliases: Readonly<Record<string, string>> = {
  aarch64: 'arm64',
  x86_64: 'amd64',
  'x86-64': 'amd64',
  i386: '386',
  x64: 'amd64',
};

/**
 * @param text `os/architecture[/variant]`, or an architecture of Linux; features as `formatPlatform` has
 *   them: `linux(+erofs)/arm64`
 * @throws OciError `OCI_BAD_PLATFORM`
 */
export function parsePlatform(text: string): Platform {
  const marked = /^([^/(]*)\(\+([^/)]*)\)(\/.*)$/.exec(text);
  if (marked) {
    const features = marked[2]!.split('+');
    return { ...parsePlatform(`${marked[1]}${marked[3]}`), features };
  }
  const parts = text.toLowerCase().split('/');
  const [os, given, variant] = parts.length === 1 ? ['linux', parts[0]] : parts;
  const word = /^[a-z0-9_.-]{1,64}$/;
  const isSound =
    parts.length <= 3 && [os, given, ...(variant === undefined ? [] : [variant])].every(isWord);
  function isWord(part: string | undefined): boolean {
    return part !== undefined && word.test(part);
  }
  if (!isSound) {
    throw new OciError('OCI_BAD_PLATFORM', `Cannot use the platform ${JSON.stringify(cut(text))}`, {
      hint: 'Give os/architecture or os/architecture/variant, such as linux/riscv64.',
    });
  }
  const architecture = aliases[given!] ?? given!;
  return { os: os!, architecture, ...(variant !== undefined && { variant }) };
}

/** `os/architecture/variant`, features after the system as containerd writes them: `linux(+erofs)`. */
export function formatPlatform({ os, architecture, variant, features = [] }: Platform): string {
  const marks = features.length === 0 ? '' : `(+${features.join('+')})`;
  return [os + marks, architecture, ...(variant ? [variant] : [])].join('/');
}

/** A platform as documents have it. */
export function writePlatform(platform: Platform): Record<string, unknown> {
  const { os, architecture, variant, features = [] } = platform;
  return {
    architecture,
    os,
    ...(features.length > 0 && { 'os.features': features }),
    ...(variant !== undefined && { variant }),
  };
}

export function readPlatform(object: JsonObject): Platform {
  const variant = object.optionalString('variant');
  const features = object.strings('os.features') ?? [];
  return {
    os: object.optionalString('os') ?? 'unknown',
    architecture: object.optionalString('architecture') ?? 'unknown',
    ...(variant !== undefined && { variant }),
    ...(features.length > 0 && { features }),
  };
}

/**
 * How well an image for one platform runs on another: 0 for not at all, more for better. Of `arm`,
 * older variants run on newer processors; `arm64` without a variant is `v8`. What needs a feature that
 * is not wanted does not run; what has one that is wanted goes before what has not.
 */
export function fitness(offered: Platform, wanted: Platform): number {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return 0;
  const { features = [] } = offered;
  if (!features.every((feature) => wanted.features?.includes(feature))) return 0;
  const fit = variantFitness(offered, wanted);
  return fit === 0 ? 0 : fit + 1000 * features.length;
}

function variantFitness(offered: Platform, wanted: Platform): number {
  const [has, wants] = [variantOf(offered), variantOf(wanted)];
  if (has === wants) return 100;
  if (wanted.variant === undefined) return has === '' ? 99 : 1 + versionOf(has);
  if (has === '') return 1;
  const [older, newer] = [versionOf(has), versionOf(wants)];
  return older > 0 && older < newer ? 1 + older : 0;
}

function variantOf({ architecture, variant = '' }: Platform): string {
  return architecture === 'arm64' && variant === '' ? 'v8' : variant;
}

/** Of `v7`, 7; 0 for what is no version. */
function versionOf(variant: string): number {
  const found = /^v(\d{1,2})$/.exec(variant);
  return found ? Math.min(Number(found[1]), 90) : 0;
}
