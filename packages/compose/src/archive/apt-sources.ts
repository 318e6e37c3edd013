import { parseBoolean } from './apt-configuration.ts';
import { type ControlFields, parseControl } from './control.ts';

/** One source of packages of apt's configuration. */
export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Paths of keyring files, or one armored block of keys. */
  readonly signedBy?: string;
  readonly checkValidUntil?: boolean;
  readonly checkDate?: boolean;
  /** The file it was found in. */
  readonly file: string;
}

/** Parses the one-line style of sources.list(5). Lines that are no binary source are left out. */
export function parseSourcesList(text: string, file: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?([^\s#]+)\s+([^\s#]+)([^#]*)/.exec(line);
    if (match === null) continue;
    const [, brackets = '', uri = '', suite = '', components = ''] = match;
    const options = parseOptions(brackets);
    sources.push({
      uris: [uri],
      suites: [suite],
      components: words(components),
      ...optionsOf((name) => options.get(name)),
      file,
    });
  }
  return sources;
}

/**
 * Parses the deb822 style of sources.list(5). Disabled stanzas are left out.
 *
 * @throws ArchiveError `ARCHIVE_BAD_CONTROL`.
 */
export function parseDeb822Sources(text: string, file: string): AptSource[] {
  return parseControl(text)
    .filter(isBinarySource)
    .map((stanza) => ({
      uris: words(stanza.get('URIs')),
      suites: words(stanza.get('Suites')),
      components: words(stanza.get('Components')),
      ...optionsOf((name) => stanza.get(name)),
      file,
    }));
}

function isBinarySource(stanza: ControlFields): boolean {
  return (
    words(stanza.get('Types')).includes('deb') && parseBoolean(stanza.get('Enabled')) !== false
  );
}

function parseOptions(brackets: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const option of words(brackets)) {
    const equals = option.indexOf('=');
    if (equals > 0) options.set(option.slice(0, equals).toLowerCase(), option.slice(equals + 1));
  }
  return options;
}

type Options = Pick<AptSource, 'signedBy' | 'checkValidUntil' | 'checkDate'>;

function optionsOf(get: (name: string) => string | undefined): Options {
  const signedBy = get('signed-by');
  const checkValidUntil = parseBoolean(get('check-valid-until'));
  const checkDate = parseBoolean(get('check-date'));
  return {
    ...(signedBy === undefined ? {} : { signedBy: unfold(signedBy) }),
    ...(checkValidUntil === undefined ? {} : { checkValidUntil }),
    ...(checkDate === undefined ? {} : { checkDate }),
  };
}

/** A block of keys in a field has ` .` for each empty line. */
function unfold(value: string): string {
  return value.includes('BEGIN PGP') ? value.replace(/^\.$/gm, '').trim() : value.trim();
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}
