import { encodeName } from '@anole/bytes';
import { putChecksum, putNumber, putText } from '../src/tar/fields.ts';
import { BLOCK, header } from '../src/tar/layout.ts';

export interface RawMember {
  readonly name: string;
  /** The type's character. Default `0`. */
  readonly type?: string;
  readonly link?: string;
  readonly body?: Uint8Array | string;
  /** What the header says; default the body's length. */
  readonly size?: number;
  /** Bytes put over the header at an offset, before its checksum is made. */
  readonly patch?: readonly [offset: number, bytes: readonly number[]];
}

/** A member exactly as told, sound or not, by its own checksum. */
export function rawMember(member: RawMember): Uint8Array {
  const body = typeof member.body === 'string' ? encodeName(member.body) : member.body;
  const block = new Uint8Array(BLOCK);
  putText(block, header.name, member.name);
  putNumber(block, header.mode, 0o644);
  putNumber(block, header.size, member.size ?? body?.length ?? 0);
  putText(block, header.type, member.type ?? '0');
  putText(block, header.link, member.link ?? '');
  putText(block, header.magic, 'ustar');
  putText(block, header.version, '00');
  if (member.patch) block.set(member.patch[1], member.patch[0]);
  putChecksum(block);
  const length = body?.length ?? 0;
  const all = new Uint8Array(BLOCK + Math.ceil(length / BLOCK) * BLOCK);
  all.set(block);
  if (body) all.set(body, BLOCK);
  return all;
}

/** Members and the two blocks of zeros at the end. */
export function rawTar(...members: readonly RawMember[]): Uint8Array {
  return new Uint8Array(Buffer.concat([...members.map(rawMember), new Uint8Array(2 * BLOCK)]));
}

/** The body of a PAX header with these records. */
export function paxBody(records: readonly (readonly [key: string, value: string])[]): string {
  return records
    .map(([key, value]) => {
      const rest = encodeName(` ${key}=${value}\n`).length;
      let length = rest + 1;
      while (String(length).length + rest !== length) length++;
      return `${length} ${key}=${value}\n`;
    })
    .join('');
}
