import type { Field } from '@anole/bytes';
import { bytes } from '@anole/bytes';

/** Three bytes, big-endian: queue pair numbers and packet sequence numbers. */
export const u24: Field<number> = {
  size: 3,
  get: (view, at) => view.getUint16(at) * 0x100 + view.getUint8(at + 2),
  set(view, at, value) {
    view.setUint16(at, value >>> 8);
    view.setUint8(at + 2, value & 0xff);
  },
};

/** An address of a RoCE port: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
export const gid = bytes(16);
export const mac = bytes(6);
/** Two bytes of the instance, six of a MAC. */
export const peerId = bytes(8);

/** Bytes of ASCII, filled up with spaces: enterprise identifiers and host names. */
export function paddedText(length: number): Field<string> {
  return {
    size: length,
    get(view, at) {
      const raw = new Uint8Array(view.buffer, view.byteOffset + at, length);
      return [...raw]
        .map((byte) => String.fromCharCode(byte))
        .join('')
        .replace(/[ \0]+$/, '');
    },
    set(view, at, value) {
      for (let index = 0; index < length; index++) {
        const code = index < value.length ? value.charCodeAt(index) : 0x20;
        view.setUint8(at + index, code & 0xff);
      }
    },
  };
}

/** Enterprise identifier, SMCv2. */
export const eid = paddedText(32);
