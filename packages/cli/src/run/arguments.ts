import type { ImageExecution, Volume } from '@anole/sandbox';
import { usageError } from '../frame.ts';

export const defaultImage = 'os:base';

/** The image and the command of `anole run`. */
export interface Target {
  readonly image: string;
  readonly argv: readonly string[];
}

/**
 * Splits the words after the options: `IMAGE -- CMD…`, `IMAGE CMD…`, and, where `--` came before
 * the first word (`bare`), `CMD…` alone. A terminal without a command gets a shell.
 */
export function targetOf(words: readonly string[], bare: boolean, terminal: boolean): Target {
  const image = bare ? defaultImage : (words[0] ?? defaultImage);
  const rest = bare ? words : words.slice(1);
  const argv = !bare && rest[0] === '--' ? rest.slice(1) : rest;
  // Container images may have a command of their own, which takes options.
  const isContainer = /[/:]/.test(image) && !image.startsWith('os:');
  if (!bare && !isContainer && /^-./.test(rest[0] ?? '') && rest[0] !== '--') {
    throw usageError(`Cannot run ${rest[0]}: options go before the image`, 'run');
  }
  if (argv.length > 0 || isContainer) return { image, argv };
  if (terminal) return { image, argv: ['sh'] };
  throw usageError('Cannot run: no command given', 'run');
}

/**
 * The whole command: what the image's maker put before it, and the maker's own where the user gives
 * none. A terminal without either gets a shell.
 */
export function commandOf(
  { argv }: Target,
  { entrypoint, cmd }: ImageExecution,
  flags: { readonly entrypoint?: string; readonly tty?: boolean },
): readonly string[] {
  const own = flags.entrypoint === undefined;
  const before = own ? entrypoint : flags.entrypoint === '' ? [] : [flags.entrypoint];
  // As container tools do: another entrypoint does not take the maker's arguments.
  const rest = argv.length > 0 || !own ? argv : cmd;
  const whole = [...before, ...rest];
  if (whole.length > 0) return whole;
  if (flags.tty) return ['sh'];
  throw usageError('Cannot run: no command given, and the image has none', 'run');
}

/** `NAME=value`; `NAME` alone takes the value it has here, if it has one. */
export function environmentOf(
  settings: readonly string[],
  own: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    if (equals === 0 || setting === '')
      throw usageError(`Cannot set ${JSON.stringify(setting)}`, 'run');
    if (equals > 0) environment[setting.slice(0, equals)] = setting.slice(equals + 1);
    else if (own[setting] !== undefined) environment[setting] = own[setting];
  }
  return environment;
}

const units: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const mebibyte = 2 ** 20;

/** MiB of a size such as `512`, `512M`, `2G`. */
export function memoryOf(text: string): number {
  return Math.ceil(sizeOf(text, mebibyte) / mebibyte);
}

/** Bytes of a size such as `64K`, `512M`, `2G`. @param unit of a number alone */
export function sizeOf(text: string, unit = 1): number {
  const match = /^(\d+(?:\.\d+)?)(?:([kmg])(?:i?b)?|b)?$/i.exec(text);
  if (match === null) throw usageError(`Cannot read the size ${text}`, 'run');
  return Math.ceil(Number(match[1]) * (units[match[2]?.toLowerCase() ?? ''] ?? unit));
}

/** How many there may be. */
export function countOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usageError(`Cannot read the number ${text}`, 'run');
}

/** A share such as `0.5`. */
export function shareOf(text: string): number {
  if (/^\d{1,3}(?:\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw usageError(`Cannot read the share ${text} of a processor`, 'run');
}

/** A number of harts; the machine says how many it can have. */
export function cpusOf(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw usageError(`Cannot read the number of cpus ${text}`, 'run');
  return Number(text);
}

const durations: Readonly<Record<string, number>> = {
  ms: 1,
  '': 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a duration such as `30`, `1.5s`, `5m`, `1h`. */
export function durationOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const milliseconds = match === null ? 0 : Number(match[1]) * durations[match[2] ?? '']!;
  if (milliseconds >= 1 && milliseconds < 2 ** 31) return Math.round(milliseconds);
  throw usageError(`Cannot read the duration ${text}`, 'run');
}

/** `HOST:GUEST` or `HOST:GUEST:ro`. HOST may have colons, as names of container images do. */
export function volumeOf(text: string): Volume {
  const mode = /:(ro|rw)$/.exec(text)?.[1];
  const places = mode === undefined ? text : text.slice(0, -1 - mode.length);
  const colon = places.lastIndexOf(':');
  const host = places.slice(0, Math.max(colon, 0));
  const guest = places.slice(colon + 1);
  // A name such as docker://HOST/NAME alone has no place.
  if (host === '' || !/^\/(?!\/)/.test(guest)) {
    throw usageError(`Cannot read the volume ${text}: it is HOST:GUEST or HOST:GUEST:ro`, 'run');
  }
  return { host, guest, ...(mode !== undefined && { readOnly: mode === 'ro' }) };
}
