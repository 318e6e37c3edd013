/**
 * A machine's own thread: the machine, its devices, and the file systems behind them. It ends with
 * its thread and leaves nothing.
 */
import { readFile } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import { FuseServer } from '@anole/fuse';
import { hostVolume } from '@anole/host';
import {
  Machine,
  type MachineExit,
  VirtioConsole,
  type VirtioDevice,
  VirtioFs,
} from '@anole/machine';
import { MemoryTree, memoryOverlay, type Tree, type WritableTree } from '@anole/vfs';
import { agentPortName } from '../agent/wire.ts';

export { prepareHarts } from './hart-parts.ts';

import { kernelCommandLine, rootTag } from '../guest/boot.ts';
import { hasPlainMountPoints, prepareRoot } from '../guest/root.ts';
import type { Command, MachineOrder, Report, ReportedError } from './messages.ts';
import { openTree } from './open-tree.ts';
import { OutputGate } from './output-gate.ts';
import { terminalSlots, volumeSlots, volumeTag } from './shape.ts';
import { openTemplate, removeTemplate, saveTemplate, type Template } from './template.ts';

/** Not the default until it is proven by more guests: see `docs/decisions/0026-compiled-regions.md`. */
const jit = process.env['ANOLE_JIT'] === '1';

/** Ports of the console device before the terminals: the kernel's console, the agent. */
const firstTerminal = 2;
const agentPort = 1;

const host = parentPort!;

/** Runs the machine of an order until it ends. Failures are reported, not thrown. */
export async function serve(order: MachineOrder): Promise<void> {
  try {
    const end = await runMachine(order);
    if (end.reason === 'panic') tell({ type: 'panic', message: end.message });
    else tell({ type: 'end', reason: end.reason });
    host.close();
  } catch (error) {
    // Met in the middle of a run; at its start, a bad template is as none.
    if (order.template && AnoleError.is(error) && error.code === 'MACHINE_SNAPSHOT_DAMAGED') {
      removeTemplate(order.template);
    }
    tell({ type: 'failed', error: reported(error) });
  }
}

async function runMachine(order: MachineOrder): Promise<MachineExit> {
  const { root, devices } = await fileSystems(order);
  const gates = Array.from({ length: terminalSlots(order.terminals) }, () => new OutputGate());
  const hello = Promise.withResolvers<Uint8Array>();
  const template = await usableTemplate(order, root.tree);
  const console = consoleDevice(gates, template === undefined ? hello.resolve : undefined);
  const machine = await (template === undefined
    ? boot(order, [console, ...devices])
    : restore(template, [console, ...devices], root.server));
  host.on('message', (command: Command) => obey(command, machine, console, gates));
  const ended = machine.run();
  if (template === undefined)
    void hello.promise.then((bytes) => booted(order, machine, root, bytes));
  else tell({ type: 'agent', bytes: template.hello });
  return await ended;
}

async function boot(order: MachineOrder, devices: readonly VirtioDevice[]): Promise<Machine> {
  const [kernel, initrd] = await Promise.all([readFile(order.kernel), readFile(order.initramfs)]);
  return await Machine.create({
    kernel,
    initrd,
    commandLine: kernelCommandLine,
    memoryMiB: order.memoryMiB,
    devices,
    onSerial,
    jit,
  });
}

async function restore(
  { snapshot, root }: Template,
  devices: readonly VirtioDevice[],
  server: FuseServer,
): Promise<Machine> {
  await server.restoreState(root);
  server.settle();
  return await Machine.restore({ snapshot, devices, onSerial, jit });
}

/** The agent serves: what all sandboxes have in common is done. */
async function booted(
  order: MachineOrder,
  machine: Machine,
  root: Root,
  hello: Uint8Array,
): Promise<void> {
  const state = root.server.saveState();
  if (
    order.template !== undefined &&
    state !== undefined &&
    (await hasPlainMountPoints(root.tree))
  ) {
    // A full disk, for one: the next sandbox boots, too.
    await saveTemplate(machine, order.template, { hello, root: state }).catch(() => {});
  }
  root.server.settle();
  tell({ type: 'agent', bytes: hello }, hello);
}

async function usableTemplate(order: MachineOrder, root: Tree): Promise<Template | undefined> {
  if (order.template === undefined || !(await hasPlainMountPoints(root))) return undefined;
  return openTemplate(order.template);
}

interface Root {
  readonly tree: WritableTree;
  readonly server: FuseServer;
}

/** The image under a layer that takes the writes, and the volumes: a device each. */
async function fileSystems(order: MachineOrder): Promise<{ root: Root; devices: VirtioFs[] }> {
  const tree = memoryOverlay(await openTree(order.root), { maxBytes: order.maxWritten });
  await prepareRoot(tree);
  const server = new FuseServer(tree, { unsettled: true });
  const devices = [fileSystem(rootTag, server)];
  for (let index = 0; index < volumeSlots(order.volumes.length); index++) {
    const volume = order.volumes[index];
    // Others on the host change a volume too.
    const volumeServer =
      volume === undefined
        ? new FuseServer(new MemoryTree())
        : new FuseServer(hostVolume(volume.directory, { readOnly: volume.readOnly }), {
            exclusive: false,
          });
    devices.push(fileSystem(volumeTag(index), volumeServer));
  }
  return { root: { tree, server }, devices };
}

function fileSystem(tag: string, server: FuseServer): VirtioFs {
  return new VirtioFs({ tag, handle: (request) => server.handle(request) });
}

function onSerial(bytes: Uint8Array): void {
  tell({ type: 'console', text: Buffer.from(bytes).toString('latin1') });
}

/** @param onHello takes the first bytes of an agent that is still to greet: one frame */
function consoleDevice(
  gates: readonly OutputGate[],
  onHello: ((bytes: Uint8Array) => void) | undefined,
): VirtioConsole {
  let greeted = onHello === undefined;
  const onAgent = (bytes: Uint8Array) => {
    if (greeted) tell({ type: 'agent', bytes }, bytes);
    else onHello?.(bytes);
    greeted = true;
  };
  const terminals = gates.map((gate, terminal) => ({
    console: true,
    onData: (bytes: Uint8Array) => {
      tell({ type: 'output', terminal, bytes }, bytes);
      return gate.sent(bytes.length);
    },
  }));
  return new VirtioConsole([
    { console: true, onData: onSerial },
    { name: agentPortName, onData: onAgent },
    ...terminals,
  ]);
}

function obey(
  command: Command,
  machine: Machine,
  console: VirtioConsole,
  gates: readonly OutputGate[],
): void {
  if (command.type === 'stop') void machine.stop();
  else if (command.type === 'agent') void console.ports[agentPort]!.write(command.bytes);
  else if (command.type === 'consumed') gates[command.terminal]?.consumed(command.bytes);
  else {
    const port = console.ports[firstTerminal + command.terminal];
    if (port === undefined) return;
    if (command.type === 'resize') port.resize(command.size);
    else {
      const { terminal, bytes } = command;
      void port.write(bytes).then(() => tell({ type: 'taken', terminal, bytes: bytes.length }));
    }
  }
}

/** Posts a report; `bytes` that own their memory move instead of being copied. */
function tell(report: Report, bytes?: Uint8Array): void {
  const whole = bytes !== undefined && bytes.byteLength === bytes.buffer.byteLength;
  host.postMessage(report, whole ? [bytes.buffer as ArrayBuffer] : []);
}

function reported(error: unknown): ReportedError {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, stack } = error;
  const known = AnoleError.is(error) ? error : undefined;
  return {
    message,
    ...(stack !== undefined && { stack }),
    ...(known && { code: known.code, details: known.details }),
    ...(known?.hint !== undefined && { hint: known.hint }),
  };
}
