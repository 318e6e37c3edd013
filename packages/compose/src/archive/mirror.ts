import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AptConfiguration } from './apt-configuration.ts';
import { type AptSource, parseDeb822Sources, parseSourcesList } from './apt-sources.ts';
import { ArchiveError } from './errors.ts';
import type { ArchiveRequest } from './types.ts';

/** An archive that suites may be taken from. */
export interface Mirror {
  /** Base URIs, each ending with '/': the first that serves is used. */
  readonly uris: readonly string[];
  /** Keyring files or a block of keys that this source is limited to. */
  readonly signedBy?: string;
  readonly checkValidUntil: boolean;
  readonly checkDate: boolean;
  /** True for a URI that is only likely: that it does not serve is no error. */
  readonly guessed: boolean;
}

/** What the machine says about where packages come from. */
export interface Mirrors {
  readonly main: readonly Mirror[];
  readonly security: readonly Mirror[];
  readonly configuration: AptConfiguration;
  /** Files that were read, for messages. */
  readonly lookedAt: readonly string[];
}

type Request = Pick<ArchiveRequest, 'mirror' | 'environment' | 'root'>;

/**
 * Finds the Debian archives: the one given by `mirror` or `ANOLE_DEBIAN_MIRROR` (several base URIs
 * of one archive are parted by blanks), else those that apt's sources name. No archive is known
 * here; see docs/decisions/0051-no-mirror-is-known.md.
 *
 * @throws ArchiveError `ARCHIVE_BAD_MIRROR`.
 */
export async function findMirrors(request: Request): Promise<Mirrors> {
  const root = request.root ?? '/';
  const lookedAt: string[] = [];
  const configuration = await readConfiguration(root, lookedAt);
  const sources = await readSources(root, lookedAt);
  const toMirror = (source: AptSource): Mirror => ({
    uris: source.uris.map(withSlash),
    ...(source.signedBy === undefined ? {} : { signedBy: source.signedBy }),
    checkValidUntil:
      source.checkValidUntil ?? configuration.getBoolean('Acquire::Check-Valid-Until') ?? true,
    checkDate: source.checkDate ?? configuration.getBoolean('Acquire::Check-Date') ?? true,
    guessed: false,
  });
  const security = sources.filter(isSecurity).map(toMirror);
  const given = givenMirror(request);
  const main =
    given === undefined
      ? sources.filter(isMain).sort(byLikelihood).map(toMirror)
      : [toMirror({ uris: given, suites: [], components: [], file: '' })];
  const guesses = main.flatMap(securityBeside);
  return {
    main: unique(main),
    security: unique(given === undefined ? [...security, ...guesses] : [...guesses, ...security]),
    configuration,
    lookedAt,
  };
}

/** The archives that could have the suite; at least one. @throws ArchiveError `ARCHIVE_NO_MIRROR`. */
export function mirrorsFor(mirrors: Mirrors, suite: string): readonly Mirror[] {
  const found = isSecuritySuite(suite) ? mirrors.security : mirrors.main;
  if (found.length > 0) return found;
  throw new ArchiveError('ARCHIVE_NO_MIRROR', `Cannot find a Debian mirror for ${suite}`, {
    details: { suite, lookedAt: mirrors.lookedAt },
    hint:
      'Give the base URI of a Debian archive with --mirror or ANOLE_DEBIAN_MIRROR. ' +
      `apt's configuration names none (read: ${mirrors.lookedAt.join(', ') || 'no file'}).`,
  });
}

function givenMirror(request: Request): string[] | undefined {
  const environment = request.environment ?? process.env;
  const text = request.mirror ?? environment['ANOLE_DEBIAN_MIRROR'];
  const uris = (text ?? '').split(/\s+/).filter((uri) => uri !== '');
  for (const uri of uris) {
    if (URL.canParse(uri) && isSupported(uri)) continue;
    throw new ArchiveError('ARCHIVE_BAD_MIRROR', `Cannot use mirror ${JSON.stringify(uri)}`, {
      hint: 'Give a base URI that begins with http:, https: or file: and has dists/ below it.',
    });
  }
  return uris.length > 0 ? uris : undefined;
}

const codenames =
  /^(?:stable|oldstable|oldoldstable|testing|unstable|sid|bullseye|bookworm|trixie|forky|duke)(?:-(?:updates|proposed-updates|backports|backports-sloppy))?$/;

function isMain(source: AptSource): boolean {
  return (
    source.uris.every(isSupported) &&
    source.components.includes('main') &&
    source.suites.some((suite) => codenames.test(suite))
  );
}

function isSecurity(source: AptSource): boolean {
  return source.uris.every(isSupported) && source.suites.some(isSecuritySuite);
}

function isSecuritySuite(suite: string): boolean {
  return suite.endsWith('-security') || suite.endsWith('/updates');
}

/** Sources of others use Debian's suite names too: what looks most like Debian's own goes first. */
function byLikelihood(a: AptSource, b: AptSource): number {
  return likelihood(b) - likelihood(a);
}

function likelihood(source: AptSource): number {
  const namesDebian = source.uris.some((uri) => /\/debian\/?$/.test(uri)) ? 2 : 0;
  const signedByDebian = /debian-archive/.test(source.signedBy ?? '') ? 2 : 0;
  return namesDebian + signedByDebian + (basename(source.file).startsWith('debian') ? 1 : 0);
}

/** Debian's mirrors have security updates, where at all, beside the main archive. */
function securityBeside(mirror: Mirror): Mirror[] {
  const uris = mirror.uris.filter((uri) => /\/debian\/$/.test(uri));
  const beside = uris.map((uri) => uri.replace(/\/debian\/$/, '/debian-security/'));
  return beside.length === 0 ? [] : [{ ...mirror, uris: beside, guessed: true }];
}

function isSupported(uri: string): boolean {
  return /^(?:mirror\+)?(?:https?|file|copy):|^mirror:/.test(uri);
}

function withSlash(uri: string): string {
  return uri.endsWith('/') || /^mirror/.test(uri) ? uri : `${uri}/`;
}

function unique(mirrors: readonly Mirror[]): Mirror[] {
  const seen = new Set<string>();
  return mirrors.filter(({ uris }) => {
    const key = uris.join(' ');
    return !seen.has(key) && seen.add(key);
  });
}

async function readConfiguration(root: string, lookedAt: string[]): Promise<AptConfiguration> {
  const configuration = new AptConfiguration();
  const parts = join(root, 'etc/apt/apt.conf.d');
  for (const name of await namesIn(parts)) {
    if (!/^[\w-]+(?:\.conf)?$/.test(name)) continue;
    configuration.add((await readText(join(parts, name))) ?? '');
  }
  const file = join(root, 'etc/apt/apt.conf');
  const text = await readText(file);
  if (text !== undefined) lookedAt.push(file);
  configuration.add(text ?? '');
  return configuration;
}

async function readSources(root: string, lookedAt: string[]): Promise<AptSource[]> {
  const parts = join(root, 'etc/apt/sources.list.d');
  const names = (await namesIn(parts)).filter((name) => /\.(?:list|sources)$/.test(name));
  const files = [join(root, 'etc/apt/sources.list'), ...names.map((name) => join(parts, name))];
  const sources: AptSource[] = [];
  for (const file of files) {
    const text = await readText(file);
    if (text === undefined) continue;
    lookedAt.push(file);
    sources.push(...parseFile(text, file));
  }
  return sources;
}

/** A file that apt would refuse must not keep anole from reading the others. */
function parseFile(text: string, file: string): AptSource[] {
  if (!file.endsWith('.sources')) return parseSourcesList(text, file);
  try {
    return parseDeb822Sources(text, file);
  } catch (error) {
    if (error instanceof ArchiveError) return [];
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch {
    return [];
  }
}

/** What cannot be read counts as absent: apt's own files may be readable by root only. */
async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
}
