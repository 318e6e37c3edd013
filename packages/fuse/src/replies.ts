import { OutHeader } from './layout/replies.ts';
import type { Request } from './request.ts';

/** Chunks of a reply, to be sent as one. None: the request has no reply. */
export type Reply = readonly Uint8Array[];

export const noReply: Reply = [];

const SLAB = 65536;

/** linux/fuse.h, FUSE_NOTIFY_RESEND. */
const NOTIFY_RESEND = 7;

/**
 * What a server that goes on with another's kernel sends first: the kernel then gives the requests
 * again that were taken and not answered (Linux 6.9).
 */
export function resendRequests(): Uint8Array {
  return OutHeader.encode({
    length: OutHeader.size,
    error: NOTIFY_RESEND,
    uniqueLow: 0,
    uniqueHigh: 0,
  });
}

/**
 * Makes replies. Small ones are cut from one piece of memory that is never written again, so that a
 * reply costs no allocation of its own and stays valid however long the transport keeps it.
 */
export class Replies {
  #slab = new Uint8Array(SLAB);
  #view = new DataView(this.#slab.buffer);
  #used = 0;

  /** A reply of `size` bytes, which `fill` writes at an offset of a view and which begin as zeros. */
  ok(request: Request, size: number, fill?: (view: DataView, at: number) => void): Reply {
    return [this.#head(request, 0, size, size, fill)];
  }

  /** A reply whose bytes are there already. They are not copied. */
  data(request: Request, data: Uint8Array): Reply {
    const header = this.#head(request, 0, 0, data.length);
    return data.length === 0 ? [header] : [header, data];
  }

  error(request: Request, errno: number): Reply {
    return [this.#head(request, -errno, 0, 0)];
  }

  #head(
    request: Request,
    error: number,
    size: number,
    bodyLength: number,
    fill?: (view: DataView, at: number) => void,
  ): Uint8Array {
    const total = OutHeader.size + size;
    const own = total > SLAB / 4;
    if (!own && this.#used + total > SLAB) this.#renew();
    const slab = own ? new Uint8Array(total) : this.#slab;
    const view = own ? new DataView(slab.buffer) : this.#view;
    const at = own ? 0 : this.#used;
    view.setUint32(at, OutHeader.size + bodyLength, true);
    view.setInt32(at + OutHeader.offsets.error, error, true);
    view.setUint32(at + OutHeader.offsets.uniqueLow, request.uniqueLow, true);
    view.setUint32(at + OutHeader.offsets.uniqueHigh, request.uniqueHigh, true);
    fill?.(view, at + OutHeader.size);
    if (!own) this.#used = at + ((total + 7) & ~7);
    return slab.subarray(at, at + total);
  }

  #renew(): void {
    this.#slab = new Uint8Array(SLAB);
    this.#view = new DataView(this.#slab.buffer);
    this.#used = 0;
  }
}
