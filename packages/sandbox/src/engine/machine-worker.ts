/**
 * A machine's own thread: the machine, its devices, and the file systems behind them. It ends with
 * its thread and leaves nothing.
 */
import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import { type FuseOptions, FuseServer } from '@anole/fuse';
import { hostVolume } from '@anole/host';
import { Machine, VirtioConsole, VirtioFs } from '@anole/machine';
import { memoryOverlay, type Tree, type WritableTree } from '@anole/vfs';
import { agentPortName } from '../agent/wire.ts';
import { bootArchive, type GuestVolume, kernelCommandLine, rootTag } from '../guest/boot.ts';
import { makeDirectory, prepareRoot } from '../guest/root.ts';
import type { Command, MachineOrder, Report, ReportedError } from './messages.ts';
import { openTree } from './open-tree.ts';
import { OutputGate } from './output-gate.ts';

/** Ports of the console device before the terminals: the kernel's console, the agent. */
const firstTerminal = 2;
const agentPort = 1;

const order = workerData as MachineOrder;
const host = parentPort!;

try {
  await serve();
} catch (error) {
  tell({ type: 'failed', error: reported(error) });
}

async function serve(): Promise<void> {
  const { devices, archive } = await fileSystems();
  const gates = Array.from({ length: order.terminals }, () => new OutputGate());
  const console = consoleDevice(gates);
  const [kernel, initramfs] = await Promise.all([
    readFile(order.kernel),
    readFile(order.initramfs),
  ]);
  const machine = await Machine.create({
    kernel,
    initrd: Buffer.concat([initramfs, archive]),
    commandLine: kernelCommandLine(order.hostname),
    memoryMiB: order.memoryMiB,
    devices: [console, ...devices],
    onSerial: (bytes) => tell({ type: 'console', text: Buffer.from(bytes).toString('latin1') }),
  });
  host.on('message', (command: Command) => obey(command, machine, console, gates));
  const end = await machine.run();
  if (end.reason === 'panic') tell({ type: 'panic', message: end.message });
  else tell({ type: 'end', reason: end.reason });
  host.close();
}

/** The image under a layer that takes the writes, and the volumes: a device each. */
async function fileSystems(): Promise<{ devices: VirtioFs[]; archive: Uint8Array }> {
  const root = memoryOverlay(await openTree(order.root), { maxBytes: order.maxWritten });
  await prepareRoot(root);
  const devices = [fileSystem(rootTag, root)];
  const volumes: GuestVolume[] = [];
  for (const [index, { directory, path, readOnly }] of order.volumes.entries()) {
    const tag = `volume${index}`;
    // Others on the host change a volume too.
    devices.push(fileSystem(tag, hostVolume(directory, { readOnly }), { exclusive: false }));
    volumes.push({ tag, path: await makeDirectory(root, path), readOnly });
  }
  return { devices, archive: bootArchive(volumes) };
}

function fileSystem(tag: string, tree: Tree | WritableTree, options: FuseOptions = {}): VirtioFs {
  const server = new FuseServer(tree, options);
  return new VirtioFs({ tag, handle: (request) => server.handle(request) });
}

function consoleDevice(gates: readonly OutputGate[]): VirtioConsole {
  const terminals = gates.map((gate, terminal) => ({
    console: true,
    onData: (bytes: Uint8Array) => {
      tell({ type: 'output', terminal, bytes }, bytes);
      return gate.sent(bytes.length);
    },
  }));
  return new VirtioConsole([
    {
      console: true,
      onData: (bytes) => tell({ type: 'console', text: Buffer.from(bytes).toString('latin1') }),
    },
    { name: agentPortName, onData: (bytes) => tell({ type: 'agent', bytes }, bytes) },
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
