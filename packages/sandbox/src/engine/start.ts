import type { MessagePort } from 'node:worker_threads';
import { Machine, openFork, type Snapshot, type VirtioDevice } from '@anole/machine/runtime';
import type { ConnectionRecord } from '@anole/net';
import { kernelCommandLine } from '../guest/boot.ts';
import { hasPlainMountPoints } from '../guest/root.ts';
import type { FileSystems } from './file-systems.ts';
import { continueFiles, forkFrom } from './fork.ts';
import { jit } from './hart-parts.ts';
import type { BaseFile, MachineOrder } from './messages.ts';
import { openTemplate } from './template.ts';

/** What a machine goes on from, its file systems already where the guest left them. */
export interface Start extends Disposable {
  readonly snapshot: Snapshot;
  readonly hello: Uint8Array;
  /** The file that pages come from. */
  readonly base: BaseFile | undefined;
  /** Connections that the guest believes to have. */
  readonly connections: readonly ConnectionRecord[];
  /** False for one that has yet to rehearse. */
  readonly isReady: boolean;
  /** Programs of its owner's ran in it: in a template's copy none draws random numbers before the agent seeds them. */
  readonly isCopy: boolean;
}

/**
 * A fork or a saved sandbox, else a template that fits; undefined: boot.
 *
 * @param stopped resolves when nobody wants it any more
 */
export async function startOf(
  order: MachineOrder,
  files: FileSystems,
  stopped: Promise<void>,
): Promise<Start | undefined> {
  const { fork, saved, template } = order;
  if (fork !== undefined) {
    // One that cannot be taken any more does not come.
    void stopped.then(() => fork.close());
    return await startOfFork(fork, files);
  }
  if (saved !== undefined) return await startOfSaved(saved, files);
  const { root } = files;
  if (template === undefined || !(await hasPlainMountPoints(root.tree))) return undefined;
  const rehearsed = order.rehearsed && openTemplate(order.rehearsed.template);
  const found = rehearsed ?? openTemplate(template);
  if (found === undefined) return undefined;
  await root.server.restoreState(found.root);
  root.server.settle();
  const isReady = found === rehearsed || order.rehearsed === undefined;
  const base = { kind: 'template', path: found.path } as const;
  return { ...found, isReady, isCopy: false, base, connections: [] };
}

async function startOfFork(port: MessagePort, files: FileSystems): Promise<Start> {
  const coming = forkFrom(port);
  coming.catch(() => {});
  const { openBase } = await import('./base.ts');
  const fork = await coming;
  using taken = new DisposableStack();
  const base = fork.base && taken.use(openBase(fork.base));
  const snapshot = openFork(fork.machine, base?.snapshot);
  await continueFiles(files, fork, base?.chunks);
  const { hello, connections } = fork;
  const kept = taken.move();
  const close = () => kept.dispose();
  const ready = { isReady: true, isCopy: true };
  return { snapshot, hello, base: base?.file, connections, ...ready, [Symbol.dispose]: close };
}

async function startOfSaved(path: string, files: FileSystems): Promise<Start> {
  const { takeSaved } = await import('./base.ts');
  using taken = new DisposableStack();
  const base = taken.use(takeSaved(path));
  const { overlay, kernel, volumes, hello, connections } = base.saved.guest();
  await continueFiles(files, { root: { tree: overlay, server: kernel }, volumes }, base.chunks);
  const kept = taken.move();
  const close = () => kept.dispose();
  return {
    snapshot: base.snapshot,
    hello,
    base: base.file,
    connections,
    isReady: true,
    isCopy: true,
    [Symbol.dispose]: close,
  };
}

/** Starts a machine from its kernel. */
export async function boot(
  order: MachineOrder,
  devices: readonly VirtioDevice[],
  onSerial: (bytes: Uint8Array) => void,
): Promise<Machine> {
  // Not for those that start otherwise, most of all: it brings much of Node's with it.
  const { readFile } = await import('node:fs/promises');
  const { kernel: image, initramfs, modules } = order.boot!;
  const archives = modules === undefined ? [initramfs] : [initramfs, modules];
  const [kernel, ...initrds] = await Promise.all(
    [image, ...archives].map((path) => readFile(path)),
  );
  const initrd = Buffer.concat(initrds);
  return await Machine.create({
    kernel: kernel!,
    initrd,
    commandLine: kernelCommandLine,
    memoryMiB: order.memoryMiB,
    cpus: order.cpus,
    devices,
    onSerial,
    jit,
  });
}
