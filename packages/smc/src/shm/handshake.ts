import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import {
  closeDescriptor,
  peerCredentials,
  type Received,
  receiveDescriptors,
  sendDescriptors,
} from '@anole/host/native';
import { SmcError } from '../errors.ts';
import type { PipeHandle } from '../socket/internals.ts';
import { MAGIC, VERSION } from './layout.ts';
import { Link, type LinkPeer } from './link.ts';
import { LinkMemory } from './memory.ts';

/** Of this thread, in this run. */
export const endpoint = randomBytes(16).toString('hex');

const HELLO_BYTES = 64;
/** Turns of the loop before waiting takes longer steps. */
const EAGER_TURNS = 2000;

function hello(): Buffer {
  const bytes = Buffer.alloc(HELLO_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(VERSION, 4);
  bytes.writeUInt32LE(process.pid, 8);
  bytes.writeUInt32LE(threadId, 12);
  bytes.write(endpoint, 16, 'hex');
  return bytes;
}

/**
 * Makes a link over a Unix socket that has just been connected: each side sends who it is, with the
 * memory that it writes. Takes the socket over, also where it fails.
 *
 * @param patience milliseconds
 * @param isKnown whether there is a link to that endpoint, so that this one is not needed
 * @returns undefined where it is not needed
 * @throws SmcError `SMC_BAD_PEER`; HostError
 */
export async function shakeHands(
  role: 'client' | 'server',
  pipe: PipeHandle,
  patience: number,
  isKnown: (endpoint: string) => boolean,
): Promise<Link | undefined> {
  let own: LinkMemory | undefined;
  try {
    if (peerCredentials(pipe.fd).uid !== process.getuid!()) {
      throw new SmcError('SMC_BAD_PEER', 'Cannot share memory: the peer belongs to another user');
    }
    own = LinkMemory.create();
    if (role === 'client') sendDescriptors(pipe.fd, hello(), [own.fd]);
    const { peer, memory } = readHello(await receive(pipe.fd, patience));
    if (role === 'client' && isKnown(peer.endpoint)) {
      memory[Symbol.dispose]();
      own[Symbol.dispose]();
      pipe.close();
      return undefined;
    }
    if (role === 'server') sendDescriptors(pipe.fd, hello(), [own.fd]);
    return new Link(role, own, memory, peer, pipe);
  } catch (error) {
    own?.[Symbol.dispose]();
    pipe.close();
    throw error;
  }
}

/** Waits for the other side's message. Node must not read it: it would drop the descriptor. */
async function receive(fd: number, patience: number): Promise<Received> {
  const deadline = Date.now() + patience;
  for (let turn = 0, isOver = false; !isOver; turn++) {
    // It may have come while this process had no processor: time is up once nothing is there after that.
    isOver = Date.now() > deadline;
    const received = receiveDescriptors(fd, HELLO_BYTES);
    if (received !== undefined) return received;
    await (turn < EAGER_TURNS ? nextTurn() : sleep(1));
  }
  throw new SmcError('SMC_BAD_PEER', 'Cannot share memory: the peer did not answer in time', {
    details: { late: true },
  });
}

function readHello({ bytes, descriptors }: Received): { peer: LinkPeer; memory: LinkMemory } {
  try {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const isHello =
      view.length === HELLO_BYTES &&
      view.readUInt32LE(0) === MAGIC &&
      view.readUInt32LE(4) === VERSION &&
      descriptors.length === 1;
    if (!isHello) {
      throw new SmcError('SMC_BAD_PEER', 'Cannot share memory: the peer speaks another protocol');
    }
    const peer = {
      pid: view.readUInt32LE(8),
      thread: view.readUInt32LE(12),
      endpoint: view.toString('hex', 16, 32),
    };
    return { peer, memory: LinkMemory.of(descriptors[0]!) };
  } finally {
    for (const each of descriptors) closeDescriptor(each);
  }
}
