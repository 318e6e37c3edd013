import type { FileType } from '@anole/vfs';
import { badOption } from './bad-option.ts';

/** Types of files as the second column names them. Source: file_contexts(5). */
const types: Readonly<Record<string, FileType>> = {
  '--': 'file',
  '-d': 'directory',
  '-l': 'symlink',
  '-c': 'character',
  '-b': 'block',
  '-p': 'fifo',
  '-s': 'socket',
};
/** What stands for no label. */
const NONE = '<<none>>';
/** An expression without these is a path. A backslash takes a character's meaning away. */
const special = /[.^$?*+|[({]/;

/** What tells whether a whole path fits. */
interface Matcher {
  test(path: string): boolean;
}

/** How {@link labelsBy} reads a file of contexts. */
export interface LabelOptions {
  /** Where the image is to be mounted: paths in the file begin with it. `/` unless given. */
  readonly mountPoint?: string;
  /**
   * Compiles an expression, which what it gives finds anywhere in a path; its dots stand for any character. Unless given,
   * V8's own engine, which can take a time that doubles with each letter of a path: give another where paths come from
   * others.
   */
  readonly compile?: (expression: string) => Matcher;
}

interface Line {
  readonly matches: Matcher;
  /** What all paths that match begin with: looked at first, as there may be thousands of lines. */
  readonly stem: string;
  readonly isPath: boolean;
  readonly type: FileType | undefined;
  readonly label: string;
}

/**
 * Labels of SELinux by a file of contexts, as {@link WriteOptions.label} takes them. Each line has an
 * expression that all of a path matches, perhaps a type, and a label. As libselinux has it, paths count
 * before expressions, and among each the last line that fits.
 *
 * @throws ErofsError `EROFS_BAD_OPTION` with the number of the line
 * @example
 * const label = labelsBy('/.* system_u:object_r:usr_t:s0\n/tmp/.* <<none>>\n');
 * const image = await writeErofs(tree, { label });
 */
export function labelsBy(
  text: string,
  { mountPoint = '/', compile = backtracking }: LabelOptions = {},
): (path: string, type: FileType) => string | undefined {
  const lines = text.split('\n').flatMap((line, index) => {
    const words = line.trim().split(/\s+/);
    return words[0] === '' || words[0]!.startsWith('#') ? [] : [lineOf(words, index + 1, compile)];
  });
  const wanted = [...lines.filter(({ isPath }) => isPath).reverse()];
  wanted.push(...lines.filter(({ isPath }) => !isPath).reverse());
  const above = mountPoint.replace(/^\/*|\/+$/g, '');
  const prefix = above === '' ? '' : `/${above}`;
  return (path, type) => {
    // The root of a mounted image is the directory that it is mounted on.
    const full = prefix !== '' && path === '/' ? prefix : prefix + path;
    const line = wanted.find((one) => fits(one, full, type));
    return line === undefined || line.label === NONE ? undefined : line.label;
  };
}

function fits({ matches, stem, type }: Line, path: string, of: FileType): boolean {
  return (type ?? of) === of && path.startsWith(stem) && matches.test(path);
}

/** Directories before the first character that means something. */
function stemOf(expression: string): string {
  const end = expression.search(/[\\.^$?*+|[({]/);
  // With a choice, of all or of parts, little can be said.
  if (end < 0 || expression.includes('|')) return end < 0 ? expression : '';
  // The character before may be there any number of times.
  return end < 2 ? '' : expression.slice(0, expression.lastIndexOf('/', end - 2) + 1);
}

function backtracking(expression: string): Matcher {
  return new RegExp(expression, 's');
}

function lineOf(
  words: readonly string[],
  number: number,
  compile: (expression: string) => Matcher,
): Line {
  const [expression = '', ...rest] = words;
  const wrong = (reason: string) => badOption('line of contexts', number, reason);
  const label = rest.pop();
  const [word] = rest;
  if (label === undefined || rest.length > 1) throw wrong('give an expression, a type, a label');
  const type = word === undefined ? undefined : types[word];
  if (word !== undefined && type === undefined) throw wrong(`${word} is no type of files`);
  try {
    const isPath = !special.test(expression.replace(/\\./gs, ''));
    const matches = compile(`^(?:${expression})$`);
    return { matches, stem: stemOf(expression), isPath, type, label };
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}
