import { type ControlFields, parseParagraph } from './control.ts';
import { type ArchiveCode, ArchiveError } from './errors.ts';

/** A file that a Release file vouches for. */
export interface ReleaseFile {
  readonly size: number;
  readonly sha256: string;
}

/** What a Release file says (DebianRepository/Format of Debian's wiki). */
export interface ReleaseText {
  readonly suite: string;
  readonly codename: string;
  readonly version: string;
  /** Seconds since 1970. */
  readonly date: number;
  readonly validUntil: number | undefined;
  readonly architectures: readonly string[];
  readonly components: readonly string[];
  readonly byHash: boolean;
  readonly notAutomatic: boolean;
  /** Packages for all architectures have indexes of their own. */
  readonly separateAll: boolean;
  /** By path below the suite's directory. */
  readonly files: ReadonlyMap<string, ReleaseFile>;
}

/** @throws ArchiveError `ARCHIVE_BAD_RELEASE`. */
export function parseRelease(text: string, what: string): ReleaseText {
  let fields: ControlFields;
  try {
    fields = parseParagraph(text);
  } catch (cause) {
    throw badRelease(what, cause instanceof Error ? cause.message : 'it is no control data');
  }
  const date = parseDate(fields.get('Date'));
  if (date === undefined) throw badRelease(what, 'its Date is missing or cannot be read');
  const until = fields.get('Valid-Until');
  const validUntil = parseDate(until);
  if (until !== undefined && validUntil === undefined) {
    throw badRelease(what, 'its Valid-Until cannot be read');
  }
  const architectures = words(fields.get('Architectures'));
  return {
    suite: fields.get('Suite') ?? '',
    codename: fields.get('Codename') ?? '',
    version: fields.get('Version') ?? '',
    date,
    validUntil,
    architectures,
    components: words(fields.get('Components')),
    byHash: fields.get('Acquire-By-Hash') === 'yes',
    notAutomatic: fields.get('NotAutomatic') === 'yes',
    separateAll:
      architectures.includes('all') &&
      !words(fields.get('No-Support-for-Architecture-all')).includes('Packages'),
    files: parseFiles(fields.get('SHA256') ?? '', what),
  };
}

export interface ReleaseChecks {
  /** What was asked for: a suite's name or codename. */
  readonly suite: string;
  /** Milliseconds. */
  readonly now: number;
  readonly checkValidUntil: boolean;
  readonly checkDate: boolean;
  /** Seconds that the release may come from the future. */
  readonly future: number;
}

/**
 * Refuses a Release file of another suite or time.
 *
 * @throws ArchiveError `ARCHIVE_WRONG_SUITE`, `ARCHIVE_FUTURE_RELEASE`, `ARCHIVE_EXPIRED_RELEASE`.
 */
export function checkRelease(release: ReleaseText, checks: ReleaseChecks, what: string): void {
  const now = checks.now / 1000;
  if (![release.suite, release.codename].includes(checks.suite)) {
    const met = `${release.suite} (${release.codename})`;
    throw refused('ARCHIVE_WRONG_SUITE', what, `it describes ${met} instead of ${checks.suite}`);
  }
  if (checks.checkDate && release.date > now + checks.future) {
    const why = `it is dated ${iso(release.date)}, in the future`;
    throw refused('ARCHIVE_FUTURE_RELEASE', what, why, "Check this machine's clock.");
  }
  if (checks.checkValidUntil && release.validUntil !== undefined && release.validUntil < now) {
    throw refused(
      'ARCHIVE_EXPIRED_RELEASE',
      what,
      `it was valid until ${iso(release.validUntil)}`,
      "Check this machine's clock; use an up-to-date mirror; for a mirror that is frozen on " +
        'purpose set Acquire::Check-Valid-Until "false" in the configuration of apt.',
    );
  }
}

const fileLine = /^([0-9a-f]{64}) +(\d{1,15}) +(\S+)$/;
const datePattern =
  /^(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d{1,2}:\d{2}:\d{2} (?:UTC|GMT|[+-]0000)$/;

function parseFiles(text: string, what: string): Map<string, ReleaseFile> {
  const files = new Map<string, ReleaseFile>();
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const match = fileLine.exec(line.trim());
    if (match === null) throw badRelease(what, `it lists ${JSON.stringify(line.slice(0, 80))}`);
    files.set(match[3]!, { size: Number(match[2]), sha256: match[1]! });
  }
  if (files.size === 0) throw badRelease(what, 'it lists no file with a SHA-256');
  return files;
}

function parseDate(text: string | undefined): number | undefined {
  if (text === undefined || !datePattern.test(text)) return undefined;
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000;
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '');
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

function badRelease(what: string, why: string): ArchiveError {
  return refused('ARCHIVE_BAD_RELEASE', what, why);
}

function refused(code: ArchiveCode, what: string, why: string, hint?: string): ArchiveError {
  const options = hint === undefined ? {} : { hint };
  return new ArchiveError(code, `Cannot use ${what}: ${why}`, options);
}
