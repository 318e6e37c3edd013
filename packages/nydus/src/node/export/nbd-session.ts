import type { Duplex } from 'node:stream';
import type { Source } from '@anole/bytes';
import type { Exports } from './exports.ts';
import { Command, NbdErrno, REPLY, REQUEST, Request, SimpleReply } from './nbd-layout.ts';
import { MAX_REQUEST, negotiate } from './nbd-negotiate.ts';
import { NbdError, NbdWire } from './nbd-wire.ts';

/** Requests of one client that are served at once; others wait in its socket. */
const MOST = 16;
const nothing = new Uint8Array(0);

export interface NbdOptions {
  /** Told why an export could not be opened, or read. */
  onFailure?(name: string, error: unknown): void;
}

/**
 * Serves one client of NBD, read-only, until it has gone: QEMU, qemu-nbd, nbd-client, libnbd. Answers go
 * out as they are ready. A read that fails is EIO, and the connection goes on.
 *
 * Replies are the simple ones: a read is answered when all of it is here, so there is no error in the
 * middle of data for which structured ones are made.
 *
 * @throws NbdError where the client breaks the protocol
 */
export async function serveNbd(
  stream: Duplex,
  exports: Exports,
  { onFailure = () => undefined }: NbdOptions = {},
): Promise<void> {
  const wire = new NbdWire(stream);
  try {
    const chosen = await negotiate(wire, exports, onFailure);
    if (chosen === undefined) return;
    const { source, digest } = chosen;
    await transmit(wire, source, (error) => onFailure(digest, error));
  } finally {
    stream.end();
  }
}

async function transmit(
  wire: NbdWire,
  source: Source,
  onError: (error: unknown) => void,
): Promise<void> {
  const running = new Set<Promise<void>>();
  for (;;) {
    const header = await wire.take(Request.size);
    if (header === undefined) return;
    const { magic, command, cookie, offset, length } = Request.decode(header);
    if (magic !== REQUEST) throw new NbdError('a request does not begin as requests do');
    if (command === Command.disconnect) break;
    if (command === Command.write) {
      if (length > MAX_REQUEST) throw new NbdError(`it writes ${length} bytes at once`);
      await wire.skip(length);
    }
    const work = answer(source, command, Number(offset), length, onError).then(([error, data]) =>
      wire.send(SimpleReply.encode({ magic: REPLY, error, cookie }), data),
    );
    running.add(work);
    void work.finally(() => running.delete(work));
    if (running.size >= MOST) await Promise.race(running);
  }
  await Promise.all(running);
}

async function answer(
  source: Source,
  command: number,
  offset: number,
  length: number,
  onError: (error: unknown) => void,
): Promise<[error: number, data: Uint8Array]> {
  const refused = (error: number): [number, Uint8Array] => [error, nothing];
  switch (command) {
    case Command.flush:
      return refused(NbdErrno.none);
    case Command.read:
    case Command.cache:
      break;
    case Command.write:
    case Command.trim:
    case Command.writeZeroes:
      return refused(NbdErrno.EPERM);
    default:
      return refused(NbdErrno.EINVAL);
  }
  if (length > MAX_REQUEST) return refused(NbdErrno.EOVERFLOW);
  if (length === 0 || offset + length > source.size) return refused(NbdErrno.EINVAL);
  try {
    const bytes = await source.read(offset, length);
    return [NbdErrno.none, command === Command.read ? bytes : nothing];
  } catch (error) {
    onError(error);
    return refused(NbdErrno.EIO);
  }
}
