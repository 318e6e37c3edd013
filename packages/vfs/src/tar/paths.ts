import { TarError } from './errors.ts';

const MAX_PATH = 0xffff;

/**
 * A member's name as a path inside the archive: without leading slashes, `.` and doubled slashes;
 * the root is the empty string.
 *
 * @throws TarError `TAR_BAD_NAME` for `..` (no name may climb out), NUL, and more than 65,535
 * characters (Linux takes 4,095 bytes at once).
 */
export function memberPath(name: string): string {
  if (name.length > MAX_PATH) throw badName(name, `it has more than ${MAX_PATH} characters`);
  if (isPlain(name)) return name;
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') throw badName(name, 'it climbs with ".."');
    parts.push(part);
  }
  const path = parts.join('/');
  if (path.includes('\0')) throw badName(name, 'it holds a NUL');
  return path;
}

/** Most names need nothing but the usual `./` taken off; those are told without splitting. */
const special = /^\/|^$|\/$|\/\/|(?:^|\/)\.{1,2}(?:\/|$)|\0/;

function isPlain(name: string): boolean {
  return !special.test(name);
}

function badName(name: string, reason: string): TarError {
  return new TarError(
    'TAR_BAD_NAME',
    `Cannot take the tar member ${JSON.stringify(name.slice(0, 200))}: ${reason}`,
    { hint: 'The archive is damaged or hostile; do not unpack it.' },
  );
}
