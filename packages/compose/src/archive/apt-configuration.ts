/**
 * What apt's configuration says, as far as anole follows it (apt.conf(5)). Names are looked up
 * whatever their case: `Acquire::http::Proxy`.
 */
export class AptConfiguration {
  readonly #values = new Map<string, string>();

  /** Adds a file's settings; later ones win. What cannot be understood is skipped. */
  add(text: string): void {
    const scopes: string[] = [];
    let words: string[] = [];
    const assign = () => {
      const [name, value] = words;
      if (name !== undefined && value !== undefined) this.#set([...scopes, name], value);
    };
    for (const token of tokensOf(text)) {
      if (token === '{') {
        assign();
        scopes.push(words[0] ?? '');
        words = [];
      } else if (token === '}' || token === ';') {
        assign();
        words = [];
        if (token === '}') scopes.pop();
      } else {
        words.push(unquote(token));
      }
    }
  }

  get(name: string): string | undefined {
    return this.#values.get(name.toLowerCase());
  }

  /** False for the words that apt takes for "no"; true for other words; else undefined. */
  getBoolean(name: string): boolean | undefined {
    return parseBoolean(this.get(name));
  }

  /** Values below `name::`, by the rest of their (lower-case) names. */
  below(name: string): Map<string, string> {
    const prefix = `${name.toLowerCase()}::`;
    const found = new Map<string, string>();
    for (const [key, value] of this.#values) {
      if (key.startsWith(prefix)) found.set(key.slice(prefix.length), value);
    }
    return found;
  }

  #set(path: readonly string[], value: string): void {
    const name = path.filter((part) => part !== '').join('::');
    this.#values.set(name.toLowerCase(), value);
  }
}

/** apt's words for yes and no, as in sources.list(5); undefined for none. */
export function parseBoolean(text: string | undefined): boolean | undefined {
  if (text === undefined || text === '') return undefined;
  return !['no', 'false', 'without', 'off', 'disable', '0'].includes(text.toLowerCase());
}

const token = /"[^"\n]*"|[{};]|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|#[^\n]*|[^\s{};"]+/g;

function* tokensOf(text: string): Iterable<string> {
  for (const [found] of text.matchAll(token)) {
    if (!/^(?:\/\/|\/\*|#)/.test(found)) yield found;
  }
}

function unquote(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1) : word;
}
