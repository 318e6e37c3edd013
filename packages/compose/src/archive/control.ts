import { ArchiveError } from './errors.ts';

/** One paragraph of control data: values by field name, whatever the case. */
export interface ControlFields {
  /** The value, folded lines joined by '\n' without their leading space; undefined where absent. */
  get(field: string): string | undefined;
  /** Names as written, in their order. */
  names(): readonly string[];
}

/** Bytes one paragraph may have: the longest of Debian's archive has 200 KiB. */
export const largestParagraph = 4 << 20;

const fieldName = /^[!-9;-~]+$/;

/**
 * Parses the paragraphs of control data (deb822: Debian Policy 5.1): fields `Name: value`, folded
 * over lines that begin with a blank, paragraphs parted by blank lines, comment lines with `#`.
 *
 * @throws ArchiveError `ARCHIVE_BAD_CONTROL`.
 */
export function parseControl(text: string): ControlFields[] {
  const paragraphs: ControlFields[] = [];
  let lines: string[] = [];
  const end = () => {
    if (lines.length > 0) paragraphs.push(fieldsOf(lines));
    lines = [];
  };
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') end();
    else lines.push(line);
  }
  end();
  return paragraphs;
}

/**
 * Parses text that holds one paragraph, such as a package's `control` file or a Release file.
 *
 * @throws ArchiveError `ARCHIVE_BAD_CONTROL` also where there are none or several.
 */
export function parseParagraph(text: string): ControlFields {
  const [first, ...others] = parseControl(text);
  if (first === undefined || others.length > 0) {
    throw badControl(`it has ${others.length + (first ? 1 : 0)} paragraphs instead of one`);
  }
  return first;
}

function fieldsOf(lines: readonly string[]): ControlFields {
  const names: string[] = [];
  const parts = new Map<string, string[]>();
  let current: string[] | undefined;
  for (const line of lines) {
    if (line[0] === ' ' || line[0] === '\t') {
      if (current === undefined) throw badControl(`a paragraph begins with ${quote(line)}`);
      current.push(line.slice(1).trimEnd());
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    if (!fieldName.test(name)) throw badControl(`${quote(line)} is no field`);
    const key = name.toLowerCase();
    if (parts.has(key)) throw badControl(`the field ${name} is there twice`);
    current = [line.slice(colon + 1).trim()];
    parts.set(key, current);
    names.push(name);
  }
  return new Fields(names, parts);
}

class Fields implements ControlFields {
  readonly #names: readonly string[];
  readonly #parts: ReadonlyMap<string, readonly string[]>;

  constructor(names: readonly string[], parts: ReadonlyMap<string, readonly string[]>) {
    this.#names = names;
    this.#parts = parts;
  }

  get(field: string): string | undefined {
    return this.#parts.get(field.toLowerCase())?.join('\n');
  }

  names(): readonly string[] {
    return this.#names;
  }
}

function badControl(why: string): ArchiveError {
  return new ArchiveError('ARCHIVE_BAD_CONTROL', `Cannot parse control data: ${why}`);
}

function quote(line: string): string {
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
}
