import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/**
 * The directory anole keeps in its cache what it can get again: `$ANOLE_CACHE`, else
 * `$XDG_CACHE_HOME/anole`, else `~/.cache/anole`. Nothing is created. A relative XDG_CACHE_HOME is
 * ignored, as the XDG Base Directory Specification asks.
 */
export function cacheDirectory(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const own = environment['ANOLE_CACHE'];
  if (own) return resolve(own);
  const xdg = environment['XDG_CACHE_HOME'];
  if (xdg && isAbsolute(xdg)) return join(xdg, 'anole');
  return join(environment['HOME'] || homedir(), '.cache', 'anole');
}
