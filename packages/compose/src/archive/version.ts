import { ArchiveError } from './errors.ts';

/** `[epoch:]upstream[-revision]` (Debian Policy 5.6.12), taken apart. */
export interface Version {
  readonly epoch: number;
  readonly upstream: string;
  /** '' where there is none, which compares like `0`. */
  readonly revision: string;
}

const longest = 1024;
const upstreamForm = /^[A-Za-z0-9.+\-:~]+$/;
const revisionForm = /^[A-Za-z0-9+.~]+$/;
const epochForm = /^\d{1,9}$/;

/** @throws ArchiveError `ARCHIVE_BAD_VERSION`. */
export function parseVersion(text: string): Version {
  const colon = text.indexOf(':');
  const hyphen = text.lastIndexOf('-');
  const epoch = colon < 0 ? '0' : text.slice(0, colon);
  const upstream = text.slice(colon + 1, hyphen < 0 ? text.length : hyphen);
  const revision = hyphen < 0 ? '' : text.slice(hyphen + 1);
  const good =
    text.length <= longest &&
    epochForm.test(epoch) &&
    upstreamForm.test(upstream) &&
    (hyphen < 0 || revisionForm.test(revision));
  if (!good) {
    const shown = JSON.stringify(text.slice(0, 80));
    throw new ArchiveError('ARCHIVE_BAD_VERSION', `Cannot parse version: ${shown}`);
  }
  return { epoch: Number(epoch), upstream, revision };
}

/**
 * Negative, zero or positive as `a` is older than, equal to or newer than `b` in Debian's ordering.
 *
 * @throws ArchiveError `ARCHIVE_BAD_VERSION`.
 */
export function compareVersions(a: string, b: string): number {
  if (a === b) return 0;
  const left = parseVersion(a);
  const right = parseVersion(b);
  return (
    left.epoch - right.epoch ||
    compareParts(left.upstream, right.upstream) ||
    compareParts(left.revision, right.revision)
  );
}

/** Compares runs of non-digits by {@link weight} and runs of digits by value, in turn. */
function compareParts(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while (isOther(a, i) || isOther(b, j)) {
      const difference = weight(a, i) - weight(b, j);
      if (difference !== 0) return difference;
      i++;
      j++;
    }
    const left = digitsAt(a, i);
    const right = digitsAt(b, j);
    const difference = compareNumbers(left, right);
    if (difference !== 0) return difference;
    i += left.length;
    j += right.length;
  }
  return 0;
}

/** True inside the text, where no digit is. */
function isOther(text: string, at: number): boolean {
  return at < text.length && !isDigit(text.charCodeAt(at));
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** '~' comes before the end (and before a digit, which ends a run), letters before the others. */
function weight(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (Number.isNaN(code) || isDigit(code)) return 0;
  if (code === 0x7e) return -1;
  const isLetter = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
  return isLetter ? code : code + 256;
}

function digitsAt(text: string, at: number): string {
  let end = at;
  while (end < text.length && isDigit(text.charCodeAt(end))) end++;
  return text.slice(at, end);
}

/** Compares decimal numbers of any length. */
function compareNumbers(a: string, b: string): number {
  const left = a.replace(/^0+/, '');
  const right = b.replace(/^0+/, '');
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
