import type { MessagePort } from 'node:worker_threads';
import { packFuseFork, unpackFuseFork } from '@anole/fuse';
import type { Machine } from '@anole/machine/runtime';
import type { ChunkStore } from '@anole/vfs';
import { SandboxError } from '../errors.ts';
import type { GuestNetwork } from '../network/serve-network.ts';
import type { FileSystems } from './file-systems.ts';
import type { BaseFile, PostedFork, SandboxFork } from './messages.ts';

interface Forked {
  readonly machine: Machine;
  readonly files: FileSystems;
  readonly network: GuestNetwork | undefined;
  readonly base: BaseFile | undefined;
}

/**
 * Takes a running machine and what is behind its devices, at one moment.
 *
 * @param code whether compiled code is taken, too: for a copy of this process, not for a file
 */
export async function forkSandbox(
  { machine, files, network, base }: Forked,
  hello: Uint8Array,
  code: boolean,
): Promise<SandboxFork> {
  const { root, volumes } = files;
  const taken = await machine.fork(
    () => ({
      root: { tree: root.tree.save({ brief: code }), server: root.server.forkState() },
      volumes: volumes.map((volume) => volume.saveNamed()),
      connections: network?.stack.connections ?? [],
    }),
    { quiet: () => root.tree.idle, code },
  );
  return { machine: taken.machine, ...taken.alongside, hello, ...(base !== undefined && { base }) };
}

/** A fork as it goes to another thread. */
export function posted({ root: { tree, server }, ...fork }: SandboxFork): PostedFork {
  return { ...fork, root: { tree, server: packFuseFork(server) } };
}

/**
 * The fork that comes through a port, which has nothing else to give.
 *
 * @throws SandboxError `SANDBOX_CLOSED` where none comes, `SANDBOX_RESOURCES` where it cannot be read
 */
export async function forkFrom(port: MessagePort): Promise<SandboxFork> {
  const { promise, resolve, reject } = Promise.withResolvers<PostedFork>();
  port.once('message', resolve);
  port.once('messageerror', (cause: unknown) =>
    reject(
      new SandboxError('SANDBOX_RESOURCES', 'Cannot copy the sandbox: there is no room for it', {
        cause,
        hint: 'Fork smaller sandboxes, or fewer at a time',
      }),
    ),
  );
  port.once('close', () =>
    reject(new SandboxError('SANDBOX_CLOSED', 'Cannot copy the sandbox: it ended')),
  );
  try {
    const { root, ...fork } = await promise;
    return { ...fork, root: { tree: root.tree, server: unpackFuseFork(root.server) } };
  } finally {
    port.close();
  }
}

/** Puts the file systems of a new machine where those of the forked one were. */
export async function continueFiles(
  { root, volumes }: FileSystems,
  { root: saved, volumes: states }: Pick<SandboxFork, 'root' | 'volumes'>,
  chunks?: ChunkStore,
): Promise<void> {
  await root.tree.restore(saved.tree, chunks);
  root.server.continueFork(saved.server, (ino) => root.tree.node(ino));
  root.server.settle();
  if (states.length !== volumes.length) throw new Error('it has another number of volumes');
  await Promise.all(volumes.map((volume, index) => volume.restoreState(states[index]!)));
}
