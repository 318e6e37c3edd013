import { CONTROL_SIZE } from './registers.ts';

/** A control message (VIRTIO 1.2, 5.3.6.2, struct virtio_console_control). */
export interface Control {
  readonly id: number;
  readonly event: number;
  readonly value: number;
  /** What follows: a name, a size. */
  readonly extra?: Uint8Array;
}

/** @param bytes at least 8 */
export function parseControl(bytes: Uint8Array): Control {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    id: view.getUint32(0, true),
    event: view.getUint16(4, true),
    value: view.getUint16(6, true),
  };
}

export function controlMessage(control: Control): Uint8Array {
  const extra = control.extra ?? new Uint8Array(0);
  const bytes = new Uint8Array(CONTROL_SIZE + extra.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, control.id, true);
  view.setUint16(4, control.event, true);
  view.setUint16(6, control.value, true);
  bytes.set(extra, CONTROL_SIZE);
  return bytes;
}
