import { ContainerdError } from '../errors.ts';

/** Bytes of a message at most: the bound of containerd's own server. */
const MAX_MESSAGE = 16 * 1024 * 1024;

/** A flag, and four bytes of length. */
const HEADER = 5;

/** A message as it goes over the wire ("gRPC over HTTP2", Length-Prefixed-Message). */
export function frameOf(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, HEADER);
  return frame;
}

/**
 * The messages of a stream. They alias its pieces.
 *
 * @throws ContainerdError `CONTAINERD_BAD_MESSAGE`, `CONTAINERD_TOO_LARGE`
 */
export async function* messagesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let wanted = HEADER;
  for await (const piece of stream) {
    parts.push(piece);
    held += piece.length;
    if (held < wanted) continue;
    let rest: Uint8Array = Buffer.concat(parts);
    for (wanted = lengthAt(rest); rest.length >= wanted; wanted = lengthAt(rest)) {
      yield rest.subarray(HEADER, wanted);
      rest = rest.subarray(wanted);
    }
    parts = [rest];
    held = rest.length;
  }
  if (held > 0) throw badMessage('it is cut short');
}

/** Bytes of the message at the beginning of some, its header included; of the header where that is not whole. */
function lengthAt(bytes: Uint8Array): number {
  if (bytes.length < HEADER) return HEADER;
  if (bytes[0] !== 0) throw badMessage('it is compressed, which nobody asked for');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(1);
  if (length <= MAX_MESSAGE) return HEADER + length;
  throw new ContainerdError(
    'CONTAINERD_TOO_LARGE',
    `Cannot take a message of ${length} bytes: at most ${MAX_MESSAGE} are allowed`,
  );
}

function badMessage(why: string): ContainerdError {
  return new ContainerdError('CONTAINERD_BAD_MESSAGE', `Cannot read the message: ${why}`);
}
