import type { Socket } from 'node:net';

/** Bytes on their way through a socket, the last of which is urgent. */
const marked = new WeakSet<Uint8Array>();
let isUsed = false;

/**
 * Writes bytes of which the last is urgent. Over shared memory the other end's socket emits `urgent` with that byte as
 * soon as it is there, whatever lies unread before it, and even while it is paused; the byte is in the stream as well.
 * Of two that come at once the later is told. Over TCP, and through TLS, the bytes arrive like all others: there Node
 * neither sends nor hears of urgent ones.
 *
 * @param bytes copied; without any nothing is urgent
 * @returns as `socket.write` does
 */
export function writeUrgent(socket: Socket, bytes: Uint8Array): boolean {
  return socket.write(markUrgent(Buffer.from(bytes)));
}

/** The bytes, of which the last is urgent from now on. */
export function markUrgent<T extends Uint8Array>(bytes: T): T {
  isUsed = true;
  if (bytes.length > 0) marked.add(bytes);
  return bytes;
}

export const isUrgent = (bytes: Uint8Array): boolean => isUsed && marked.has(bytes);
