import { misused } from '../virtio/queue.ts';
import * as R from './registers.ts';

/** What the sender of a frame left to the other side. */
export interface FrameOffload {
  /**
   * The Internet checksum of all bytes from `start` on is still to be put at `start + offset`, where
   * the sum of the pseudo header is.
   */
  readonly checksum?: { readonly start: number; readonly offset: number };
  /** A TCP segment that stands for several, each with at most `size` bytes of data. */
  readonly segments?: { readonly version: 4 | 6; readonly size: number };
}

/** The header of a frame that goes to the guest (5.1.6.4). */
export function writeHeader(
  header: Uint8Array,
  headerLength: number,
  { checksum, segments }: FrameOffload,
  buffers: number,
): void {
  const view = new DataView(header.buffer, header.byteOffset, R.HEADER_SIZE);
  view.setUint8(0, checksum ? R.FLAG_NEEDS_CSUM : 0);
  const type = segments?.version === 6 ? R.GSO_TCPV6 : R.GSO_TCPV4;
  view.setUint8(R.HEADER_GSO_TYPE, segments ? type : R.GSO_NONE);
  view.setUint16(R.HEADER_LENGTH, segments ? headerLength : 0, true);
  view.setUint16(R.HEADER_GSO_SIZE, segments?.size ?? 0, true);
  view.setUint16(R.HEADER_CSUM_START, checksum?.start ?? 0, true);
  view.setUint16(R.HEADER_CSUM_OFFSET, checksum?.offset ?? 0, true);
  view.setUint16(R.HEADER_BUFFERS, buffers, true);
}

const none: FrameOffload = {};

/**
 * The header of a frame of `frameLength` bytes from the guest.
 *
 * @throws MachineError `MACHINE_DEVICE_MISUSED` for what was not offered or does not lie in the frame
 */
export function readHeader(bytes: Uint8Array, frameLength: number): FrameOffload {
  const view = new DataView(bytes.buffer, bytes.byteOffset, R.HEADER_SIZE);
  const needsChecksum = (view.getUint8(0) & R.FLAG_NEEDS_CSUM) !== 0;
  const type = view.getUint8(R.HEADER_GSO_TYPE) & ~R.GSO_ECN;
  if (!needsChecksum && type === R.GSO_NONE) return none;
  const start = view.getUint16(R.HEADER_CSUM_START, true);
  const offset = view.getUint16(R.HEADER_CSUM_OFFSET, true);
  if (!needsChecksum) throw misused('segments without a checksum to be made');
  if (start + offset + 2 > frameLength) throw misused('a checksum behind the end of its frame');
  const checksum = { start, offset };
  if (type === R.GSO_NONE) return { checksum };
  const size = view.getUint16(R.HEADER_GSO_SIZE, true);
  if ((type !== R.GSO_TCPV4 && type !== R.GSO_TCPV6) || size === 0) {
    throw misused(`segments of type ${type} and size ${size}`);
  }
  return { checksum, segments: { version: type === R.GSO_TCPV6 ? 6 : 4, size } };
}
