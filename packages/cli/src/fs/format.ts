import type { FileType, Stat } from '@anole/vfs';

const typeLetters: Readonly<Record<FileType, string>> = {
  block: 'b',
  character: 'c',
  directory: 'd',
  fifo: 'p',
  file: '-',
  socket: 's',
  symlink: 'l',
};

/** As ls(1) shows them: `-rwsr-xr-x`. */
export function modeText({ type, mode }: Pick<Stat, 'type' | 'mode'>): string {
  const triple = (shift: number, special: boolean, letter: string): string => {
    const bits = mode >> shift;
    const execute = bits & 1 ? (special ? letter : 'x') : special ? letter.toUpperCase() : '-';
    return (bits & 4 ? 'r' : '-') + (bits & 2 ? 'w' : '-') + execute;
  };
  return (
    typeLetters[type] +
    triple(6, (mode & 0o4000) !== 0, 's') +
    triple(3, (mode & 0o2000) !== 0, 's') +
    triple(0, (mode & 0o1000) !== 0, 't')
  );
}

/** A name for people: what could steer a terminal, or is no text, is shown as `\x1b`. */
export function shown(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return name.replace(/[\0-\x1f\x7f-\x9f\\\u202a-\u202e\u2066-\u2069]|[\ud800-\udfff]/gu, escaped);
}

function escaped(character: string): string {
  if (character === '\\') return '\\\\';
  const code = character.codePointAt(0)!;
  // A byte that is not part of UTF-8 stands as U+DC00 and the byte.
  const byte = code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : code;
  if (byte <= 0xff) return `\\x${byte.toString(16).padStart(2, '0')}`;
  return `\\u${code.toString(16)}`;
}

/** Seconds and, where there are any, nanoseconds of a time, in UTC. */
export function timeText({ mtime }: Pick<Stat, 'mtime'>): string {
  const date = new Date(mtime.seconds * 1000);
  // Beyond what a Date can say.
  if (Number.isNaN(date.getTime())) return `@${mtime.seconds}`;
  return date.toISOString().slice(0, 19).replace('T', ' ');
}

/** Attributes as JSON: numbers as they are, times in seconds and nanoseconds. */
export function statJson(stat: Stat): Record<string, unknown> {
  const { ino, type, mode, uid, gid, size, nlink, mtime, rdev } = stat;
  return {
    type,
    mode: mode.toString(8).padStart(4, '0'),
    uid,
    gid,
    size,
    nlink,
    mtime,
    ino,
    ...(rdev && { rdev }),
  };
}
