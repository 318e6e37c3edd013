import type { FileType } from './tree.ts';

/** What two nodes of one path can differ in. */
export type Aspect =
  | 'content'
  | 'links'
  | 'mode'
  | 'mtime'
  | 'owner'
  | 'presence'
  | 'rdev'
  | 'size'
  | 'target'
  | 'type'
  | 'xattr';

/** One difference between two trees. `a` and `b` say what each has, for people. */
export interface Difference {
  /** From the root, without a leading slash; empty for the root itself. */
  readonly path: string;
  readonly aspect: Aspect;
  /** Name of the extended attribute. */
  readonly name?: string;
  /** Of `content`: the first byte that differs. */
  readonly offset?: number;
  /** Absent where only `b` has something: a node, an attribute, another name. */
  readonly a?: string;
  readonly b?: string;
}

/**
 * A line for people.
 *
 * @example
 * renderDifference({ path: 'etc/motd', aspect: 'mode', a: '0644', b: '0600' });
 * // '/etc/motd: mode 0644 against 0600'
 */
export function renderDifference(difference: Difference): string {
  const { path, aspect, name, offset, a, b } = difference;
  const what = name === undefined ? aspect : `${aspect} ${name}`;
  const where = offset === undefined ? '' : ` at byte ${offset}`;
  const head = `/${printable(path)}: `;
  if (aspect === 'presence') {
    return (
      head + (b === undefined ? `only in the first tree (${a})` : `only in the second tree (${b})`)
    );
  }
  return `${head}${printable(what)}${where} ${printable(a ?? 'none')} against ${printable(b ?? 'none')}`;
}

/** Control characters and lone surrogates as escapes, so that a line stays one. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is to be shown
  return text.replace(/[\u0000-\u001f\u007f\ud800-\udfff]/g, (unit, at: number) => {
    const code = unit.charCodeAt(0);
    const isPair =
      (code >= 0xd800 && code < 0xdc00 && /[\udc00-\udfff]/.test(text[at + 1] ?? '')) ||
      (code >= 0xdc00 && /[\ud800-\udbff]/.test(text[at - 1] ?? ''));
    if (isPair) return unit;
    const byte = code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : code;
    return `\\x${byte.toString(16).padStart(2, '0')}`;
  });
}

const articles: Partial<Record<FileType, string>> = {
  character: 'character device',
  block: 'block device',
  symlink: 'symbolic link',
};

/** A node's type in words. */
export function typeName(type: FileType): string {
  return articles[type] ?? type;
}
