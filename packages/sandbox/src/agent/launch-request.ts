/**
 * What the program `launch` (guest/launch.ts) reads: memory of its own, addresses in it included. The host
 * makes it of a request (client/spawn-payload.ts); what only the guest knows is added here. This file uses
 * the language alone.
 */
import type { Identity } from './users.ts';

/** Memory of `launch`, where the request goes: room for the largest request of the protocol. */
export const launchMemory = { address: 0x100_0000, size: 0x80_0000 } as const;

/** Offsets of the header's fields, 8 bytes each: numbers below 2^32. */
export const launchField = {
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
  /** Offset of the free place at the end of the environment for HOME, or 0: for the agent. */
  home: 88,
  null: 96,
  /** What to write to standard error when nothing can be executed. */
  message: 104,
  messageLength: 112,
} as const;
export const launchHeaderBytes = 128;

/** A memory with the user who runs it; without, root does, and all is there. */
export function withIdentity(
  begun: Uint8Array,
  { uid, gid, groups, home }: Identity,
): Uint8Array<ArrayBuffer> {
  const free = new DataView(begun.buffer, begun.byteOffset).getUint32(launchField.home, true);
  const variable = free === 0 ? new Uint8Array(0) : utf8(`HOME=${home}\0`);
  const groupsAt = (begun.length + 3) & ~3;
  const variableAt = groupsAt + 4 * groups.length;
  const bytes = new Uint8Array(variableAt + variable.length);
  bytes.set(begun);
  bytes.set(variable, variableAt);
  const view = new DataView(bytes.buffer);
  const set = (at: number, value: number) => view.setUint32(at, value, true);
  for (let at = 0; at < groups.length; at++) set(groupsAt + 4 * at, groups[at]!);
  const { address } = launchMemory;
  if (free !== 0) set(free, address + variableAt);
  set(launchField.length, bytes.length);
  set(launchField.groups, address + groupsAt);
  set(launchField.groupCount, groups.length);
  set(launchField.user, uid);
  set(launchField.group, gid);
  return bytes;
}

/** UTF-8 of a string; of half a surrogate pair what UTF-8 would have for it. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
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

/** The string of the bytes of {@link utf8}. */
export function textOf(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++]!;
    const more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let code = more === 0 ? first : first & (0x3f >> more);
    for (let left = more; left > 0; left--) code = (code << 6) | (bytes[at++]! & 63);
    text += String.fromCodePoint(code);
  }
  return text;
}
