/**
 * What the program `launch` (guest/launch.ts) reads: memory of its own, addresses in it included. This
 * file uses the language alone.
 */

/** Memory of `launch`, where the request goes: room for the largest request of the protocol. */
export const launchMemory = { address: 0x100_0000, size: 0x80_0000 } as const;

/** Offsets of the header's fields, 8 bytes each. */
const field = {
  /** Bytes of the request. */
  length: 0,
  path: 8,
  argv: 16,
  environment: 24,
  directory: 32,
  /** Not 0 where standard input is what follows the request; else it is /dev/null. */
  keepsInput: 40,
  /** Path of the terminal, or 0. */
  terminal: 48,
  groupCount: 56,
  /** u32 each. */
  groups: 64,
  user: 72,
  group: 80,
  null: 96,
  /** What to write to standard error when nothing can be executed. */
  message: 104,
  messageLength: 112,
} as const;
const headerBytes = 128;

export interface LaunchRequest {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly keepsInput: boolean;
  readonly terminal?: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** The bytes of a request. */
export function writeLaunchRequest(request: LaunchRequest): Uint8Array<ArrayBuffer> {
  const { path, argv, env, groups } = request;
  const variables = Object.keys(env).map((name) => `${name}=${env[name]}`);
  const message = `anole: cannot execute ${path}\n`;
  const strings = ['/bin/sh', ...argv, ...variables, path, request.cwd, '/dev/null', message];
  if (request.terminal !== undefined) strings.push(request.terminal);
  // argv has a place before it, for the shell that takes over a script.
  const pointers = headerBytes;
  const groupsAt = pointers + 8 * (argv.length + variables.length + 3);
  const writer = new Writer(groupsAt + 4 * groups.length, strings);
  const argvAt = pointers + 8;
  const environmentAt = argvAt + 8 * (argv.length + 1);
  writer.pointer(pointers, 0);
  for (let at = 0; at < argv.length; at++) writer.pointer(argvAt + 8 * at, 1 + at);
  const variable = 1 + argv.length;
  for (let at = 0; at < variables.length; at++) {
    writer.pointer(environmentAt + 8 * at, variable + at);
  }
  for (let at = 0; at < groups.length; at++) writer.u32(groupsAt + 4 * at, groups[at]!);
  const rest = variable + variables.length;
  writer.pointer(field.path, rest);
  writer.pointer(field.directory, rest + 1);
  writer.pointer(field.null, rest + 2);
  writer.pointer(field.message, rest + 3);
  if (request.terminal !== undefined) writer.pointer(field.terminal, rest + 4);
  writer.u32(field.messageLength, writer.lengthOf(rest + 3));
  writer.u32(field.argv, launchMemory.address + argvAt);
  writer.u32(field.environment, launchMemory.address + environmentAt);
  writer.u32(field.groups, launchMemory.address + groupsAt);
  writer.u32(field.groupCount, groups.length);
  writer.u32(field.user, request.uid);
  writer.u32(field.group, request.gid);
  writer.u32(field.keepsInput, request.keepsInput ? 1 : 0);
  return writer.finish();
}

/** Numbers are below 2^32, in fields of 8 bytes that are zero. */
class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #places: number[] = [];

  constructor(stringsAt: number, strings: readonly string[]) {
    const text = utf8(`${strings.join('\0')}\0`);
    this.#bytes = new Uint8Array(stringsAt + text.length);
    this.#bytes.set(text, stringsAt);
    this.#view = new DataView(this.#bytes.buffer);
    let at = stringsAt;
    for (let index = 0; index < strings.length; index++) {
      this.#places.push(at);
      at = this.#bytes.indexOf(0, at) + 1;
    }
    this.#places.push(at);
  }

  lengthOf(string: number): number {
    return this.#places[string + 1]! - this.#places[string]! - 1;
  }

  pointer(at: number, string: number): void {
    this.u32(at, launchMemory.address + this.#places[string]!);
  }

  u32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  finish(): Uint8Array<ArrayBuffer> {
    this.u32(field.length, this.#bytes.length);
    return this.#bytes;
  }
}

/** UTF-8 of a string; of half a surrogate pair what UTF-8 would have for it. */
function utf8(text: string): Uint8Array {
  const bytes = new Uint8Array(3 * text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    let code = text.charCodeAt(at);
    if (code < 0x80) {
      bytes[length++] = code;
      continue;
    }
    code = text.codePointAt(at)!;
    if (code < 0x800) bytes[length++] = 0xc0 | (code >> 6);
    else if (code < 0x1_0000) {
      bytes[length++] = 0xe0 | (code >> 12);
      bytes[length++] = 0x80 | ((code >> 6) & 63);
    } else {
      at++;
      bytes[length++] = 0xf0 | (code >> 18);
      bytes[length++] = 0x80 | ((code >> 12) & 63);
      bytes[length++] = 0x80 | ((code >> 6) & 63);
    }
    bytes[length++] = 0x80 | (code & 63);
  }
  return bytes.subarray(0, length);
}
