/** What a server wants to be shown (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Bytes of a header looked at. */
const MAX_HEADER = 8192;
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;

/** Parses `WWW-Authenticate`. What is malformed ends the list: no server depends on it. */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, MAX_HEADER);
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    take(/[\s,]*/y);
    const word = take(token)?.[0];
    if (word === undefined) return found;
    if (take(/\s*=\s*/y) === null) {
      found.push({ scheme: word.toLowerCase(), parameters: {} });
      continue;
    }
    const string = take(quoted);
    const value = string ? string[1]!.replace(/\\(.)/gs, '$1') : take(token)?.[0];
    const current = found.at(-1);
    if (value === undefined || current === undefined) return found;
    current.parameters[word.toLowerCase()] = value;
  }
}
