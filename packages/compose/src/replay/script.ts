import { createHash } from 'node:crypto';

/** A maintainer script, taken apart as far as its text tells. */
export interface Script {
  /** What debhelper added, by the tool that added it. */
  readonly added: readonly AddedBlock[];
  /** The rest: statements on one line each, without comments and blank lines. */
  readonly lines: readonly string[];
}

export interface AddedBlock {
  /** Such as `dh_installsystemd`. */
  readonly tool: string;
  readonly lines: readonly string[];
}

const blockBegin = /^# Automatically added by (dh\w*)/;
const blockEnd = /^# End automatically added section/;

/** Splits a shell script at debhelper's marks, joins continued lines, drops comments. */
export function readScript(text: string): Script {
  const added: AddedBlock[] = [];
  const lines: string[] = [];
  let block: { tool: string; lines: string[] } | undefined;
  for (const line of text.replace(/\\\n/g, ' ').split('\n')) {
    const trimmed = line.trim();
    const begin = blockBegin.exec(trimmed);
    if (begin) {
      block = { tool: begin[1]!, lines: [] };
      added.push(block);
    } else if (blockEnd.test(trimmed)) block = undefined;
    else if (trimmed !== '' && !trimmed.startsWith('#')) (block?.lines ?? lines).push(trimmed);
  }
  return { added, lines };
}

/**
 * Lines that do nothing when a package is installed for the first time, in a tree in which no
 * service runs: the frame of every script, and dpkg-maintscript-helper's care for upgrades.
 */
const frame = [
  /^set -[eux]+$/,
  /^(exit 0|:|true|fi|done|esac|else|;;|\{|\}|then|do|return( 0)?)$/,
  /^case "?\$\{?1\}?"? in$/,
  /^if \[ "\$1" = "?configure"? \]( ?\|\| ?\[ "\$1" = "?(abort-upgrade|abort-deconfigure|abort-remove)"? \])*; ?then$/,
  /^if \[ "\$1" != "?upgrade"? \]; ?then$/,
  /^if test "\$1" = "?configure"?; ?then$/,
  /^\(?"?(configure|install|upgrade|abort-\w+|triggered|\*)"?(\|(abort-)?\w+(-\w+)?)*\)$/,
  /^exit 1$/,
  /^echo .*>&2$/,
  /^dpkg-maintscript-helper (rm_conffile|mv_conffile|dir_to_symlink|symlink_to_dir) /,
  /^update-alternatives --(quiet --)?remove /,
];

export function isFrame(line: string): boolean {
  return frame.some((pattern) => pattern.test(line));
}

/**
 * Names statements, the same for every architecture, so that a script that was read once is known
 * again: the first 12 digits of a SHA-256.
 */
export function scriptDigest(statements: readonly string[]): string {
  const text = statements
    .join('\n')
    .replace(/\b(x86[_-]64|aarch64|riscv64)-linux-gnu\b/g, 'TRIPLET')
    .replace(/\b(amd64|arm64|riscv64)\b/g, 'ARCH');
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/**
 * The words of a simple command up to its end (`;`, `|`, `&`, a redirection or a comment);
 * undefined where a word needs a shell to be known.
 */
export function literalWords(line: string): readonly string[] | undefined {
  const words: string[] = [];
  const pattern = /\s*(?:([;|&<>#].*)|((?:'[^']*'|"[^"$`\\]*"|\\.|[^\s;|&<>'"\\$`])+)|(.))/gy;
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    if (match[1] !== undefined) break;
    if (match[2] === undefined) {
      if (match[3]?.trim() === '') break;
      return undefined;
    }
    words.push(match[2].replace(/'([^']*)'|"([^"]*)"|\\(.)/g, '$1$2$3'));
  }
  return words;
}
