import { decodeName, encodeName } from '@anole/bytes';
import { HostError, systemCode } from './errors.ts';

/** Extended attributes by path below a directory (empty for itself) and by name. */
export type XattrDump = ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;

/** Bytes of a dump at most. */
const MAX_DUMP = 256 * 1024 * 1024;

/**
 * All extended attributes below a directory, by one run of getfattr(1). Those that the user may
 * not see (`trusted.*` without root) are absent.
 *
 * @throws HostError `HOST_NO_TOOL`, `HOST_IO`
 */
export function readXattrDump(directory: string): XattrDump {
  // Loaded here only: Node's networking comes with it, and who reads a directory's files needs neither.
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { stdout, error, status } = spawnSync(
    'getfattr',
    [
      '--recursive',
      '--physical',
      '--no-dereference',
      '--dump',
      '--match=-',
      '--encoding=hex',
      '--',
      '.',
    ],
    { cwd: directory, maxBuffer: MAX_DUMP, env: { ...process.env, LC_ALL: 'C' } },
  );
  if (systemCode(error) === 'ENOENT') throw noTool('getfattr');
  if (error) {
    throw new HostError('HOST_IO', `Cannot read attributes of ${directory}: ${error.message}`, {
      cause: error,
    });
  }
  // Files that vanish meanwhile, and file systems without attributes, make it end with 1.
  if (status !== 0 && status !== 1) {
    throw new HostError(
      'HOST_IO',
      `Cannot read attributes of ${directory}: getfattr ended with ${status}`,
    );
  }
  return parseDump(decodeName(stdout));
}

export function noTool(tool: string): HostError {
  return new HostError(
    'HOST_NO_TOOL',
    `Cannot handle extended attributes: ${tool} is not installed`,
    {
      hint: 'Install it (on Debian: apt-get install attr).',
      details: { tool },
    },
  );
}

/** The form of getfattr(1): `# file: path`, then `name=0xhex` lines, then an empty one. */
export function parseDump(text: string): Map<string, Map<string, Uint8Array>> {
  const dump = new Map<string, Map<string, Uint8Array>>();
  let current: Map<string, Uint8Array> | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('# file: ')) {
      current = new Map();
      dump.set(unquote(line.slice('# file: '.length)).replace(/^\.(\/|$)/, ''), current);
    } else if (line === '') {
      current = undefined;
    } else if (current) {
      const equals = line.indexOf('=');
      const name = equals < 0 ? line : line.slice(0, equals);
      const value = equals < 0 ? '' : line.slice(equals + 1).replace(/^0x/, '');
      current.set(unquote(name), Buffer.from(value, 'hex'));
    }
  }
  return dump;
}

/** The form that setfattr(1) restores. */
export function formatDump(dump: XattrDump): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [path, xattrs] of dump) {
    if (xattrs.size === 0) continue;
    parts.push(Buffer.from(`# file: ${quote(path === '' ? '.' : `./${path}`)}\n`, 'latin1'));
    for (const [name, value] of xattrs) {
      parts.push(Buffer.from(`${quote(name)}=0x${Buffer.from(value).toString('hex')}\n`, 'latin1'));
    }
    parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

/** getfattr writes what is no plain character, and `=` and backslash, as a backslash and three octal digits. */
function unquote(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes: number[] = [];
  const raw = encodeName(text);
  for (let at = 0; at < raw.length; at++) {
    const digits = raw[at] === 0x5c ? String.fromCharCode(...raw.subarray(at + 1, at + 4)) : '';
    if (/^[0-7]{3}$/.test(digits)) {
      bytes.push(Number.parseInt(digits, 8) & 0xff);
      at += 3;
    } else bytes.push(raw[at]!);
  }
  return decodeName(Uint8Array.from(bytes));
}

function quote(text: string): string {
  let quoted = '';
  for (const byte of encodeName(text)) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x3d;
    quoted += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return quoted;
}
