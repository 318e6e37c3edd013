import { AnoleError, type Awaitable, chain, isPromise } from '@anole/bytes';
import type { Tree, TreeNode, WritableTree } from '@anole/vfs';
import type { Stale } from './drops.ts';
import { Errno, errnoFor, FuseError, refused } from './errors.ts';
import { Opcode } from './layout/opcodes.ts';
import { InHeader } from './layout/requests.ts';
import { noReply, type Reply } from './replies.ts';
import { Request } from './request.ts';
import { type FuseOptions, Session, type TreeChange } from './session.ts';
import {
  continueSession,
  type FuseFork,
  type FuseState,
  forkSession,
  restoreSession,
  saveNamed,
  saveSession,
} from './state.ts';
import { isSilent, operationFor } from './table.ts';

const MIN_TRANSFER = 4096;
const MAX_TRANSFER = 1024 * 1024;

/**
 * Serves a Tree to a Linux kernel that speaks FUSE (protocol 7.31 to 7.41), over any transport: the
 * queues of virtio-fs, /dev/fuse, or a test that makes requests by hand. It answers at once wherever
 * the tree does. It keeps of the kernel's state only the nodes that the kernel knows, so nothing is
 * lost where files are opened, renamed and removed.
 *
 * The kernel checks permissions: mount with `default_permissions`, as virtio-fs always does.
 *
 * @example
 * const server = new FuseServer(memoryOverlay(image));
 * const chunks = await server.handle(request);
 */
export class FuseServer {
  readonly #session: Session;
  readonly #onError: FuseOptions['onError'];
  readonly #onFailure: FuseOptions['onFailure'];

  /** @throws FuseError `FUSE_BAD_OPTION` where `maxTransfer` is out of range. */
  constructor(tree: Tree | WritableTree, options: FuseOptions = {}) {
    const { maxTransfer = MAX_TRANSFER } = options;
    if (!(maxTransfer >= MIN_TRANSFER && maxTransfer <= MAX_TRANSFER)) {
      const message = `Cannot move ${maxTransfer} bytes at once: 4096 to 1048576 are possible`;
      throw new FuseError('FUSE_BAD_OPTION', message, Errno.EINVAL);
    }
    this.#session = new Session(tree, options, Math.floor(maxTransfer));
    this.#onError = options.onError;
    this.#onFailure = options.onFailure;
  }

  /** Flags that both sides have, for the server that goes on (`agreed`); undefined before INIT. */
  get agreed(): number | undefined {
    return this.#session.agreed;
  }

  /** Whether the kernel reads files of `backings` by itself, by what was agreed on. */
  get passes(): boolean {
    return this.#session.passing !== undefined;
  }

  /** Nodes that the kernel knows, the root included. */
  get knownNodes(): number {
    return this.#session.nodes.size;
  }

  /**
   * Serves one request and returns the chunks of its reply, to be sent as one message; none where the
   * request has no reply. Never throws and never rejects: what is wrong with a request, its reply
   * says, and bytes too few to be a request are dropped.
   *
   * `request` begins with the header and holds at least the arguments; the data of a WRITE may follow
   * in `more`, piece by piece. Both must stay as they are until the reply is there. Chunks may alias
   * the tree's memory: send them before the next request is handled, or copy them. A reply of READ
   * or READDIR is at most `size` of the request plus 16 bytes long.
   */
  handle(request: Uint8Array, more?: readonly Uint8Array[]): Awaitable<Reply> {
    if (request.length < InHeader.size) return noReply;
    const asked = new Request(request, more);
    try {
      const reply = this.#serve(asked);
      return isPromise(reply) ? this.#later(asked, reply) : reply;
    } catch (error) {
      return this.#failed(asked, error);
    }
  }

  /** From now on the kernel may believe what it is told; see `unsettled` of the options. */
  settle(): void {
    this.#session.settle();
  }

  /** What the kernel knows, for {@link restoreState}; undefined where it knows nodes without names. */
  saveState(): FuseState | undefined {
    return saveSession(this.#session);
  }

  /**
   * As {@link saveState}, without the nodes that have no name, or whose directory has none: whoever
   * goes on with it finds them stale. For trees that others can change, where this may happen anyway.
   */
  saveNamed(): FuseState {
    return saveNamed(this.#session);
  }

  /**
   * Goes on with a kernel that another server's {@link saveState} was of, and that was told to believe
   * nothing (`unsettled`). Nodes are found again by their paths in this server's tree; those that are
   * not there, or of another type, are stale.
   *
   * @throws FuseError `FUSE_BAD_STATE`; what the tree throws
   */
  restoreState(state: FuseState): Promise<void> {
    return restoreSession(this.#session, state);
  }

  /** What the kernel knows, for {@link continueFork}: by numbers of nodes, names or none. */
  forkState(): FuseFork {
    return forkSession(this.#session);
  }

  /**
   * Goes on with the copy of a kernel that another server's {@link forkState} was of. Positions within
   * directories that were open are found anew.
   *
   * @param nodeOf the node that has a number in this server's tree
   */
  continueFork(state: FuseFork, nodeOf: (ino: number) => TreeNode | undefined): void {
    continueSession(this.#session, state, nodeOf);
  }

  /**
   * Says that somebody on this side made, replaced or removed names of a directory of the tree.
   *
   * @returns what the kernel holds of them, to be given to {@link dropped} once the guest's keeper made
   * it drop that; undefined where it holds nothing
   */
  changed(ino: number, names: readonly string[]): Stale | undefined {
    return this.#session.drops.begin(ino, names);
  }

  /**
   * Says that a directory was moved by this side: the kernel gets it under a new number, since the one
   * it has is dead to it once the old name is dropped.
   */
  moved(ino: number): void {
    this.#session.nodes.renumber(ino);
  }

  dropped(stale: Stale): void {
    this.#session.drops.end(stale);
  }

  /** Says that this side is done with a node that it looked up: unless the kernel has it, it goes. */
  release(node: TreeNode): void {
    this.#session.release({ node, ino: node.stat.ino });
  }

  /** Sets who is told of the changes that the kernel asks for, at once after each. */
  observe(observer: ((change: TreeChange) => void) | undefined): void {
    this.#session.observer = observer;
  }

  #serve(request: Request): Awaitable<Reply> {
    request.checkLength();
    const { opcode } = request;
    if (this.#session.agreed === undefined && opcode !== Opcode.INIT) {
      throw refused(Errno.EIO, 'a request before INIT');
    }
    const operation = operationFor(opcode);
    const ino = this.#session.nodes.forgotten(request.nodeid);
    if (ino === undefined || isSilent(opcode)) return operation(this.#session, request);
    return chain(this.#revive(request.nodeid, ino), () => operation(this.#session, request));
  }

  #revive(nodeid: number, ino: number): Awaitable<void> {
    return chain(this.#session.nodeOf?.(ino), (node) => {
      if (node !== undefined) this.#session.nodes.revive(nodeid, node);
    });
  }

  async #later(request: Request, reply: Promise<Reply>): Promise<Reply> {
    this.#session.begin();
    try {
      return await reply;
    } catch (error) {
      return this.#failed(request, error);
    } finally {
      this.#session.end();
    }
  }

  #failed(request: Request, error: unknown): Reply {
    if (!AnoleError.is(error)) this.#onError?.(error, request.opcode);
    if (isSilent(request.opcode)) return noReply;
    const errno = errnoFor(error);
    if (errno === Errno.EIO) {
      this.#onFailure?.(error, this.#session.nodes.pathOfNumber(request.nodeid)?.join('/'));
    }
    return this.#session.replies.error(request, errno);
  }
}
