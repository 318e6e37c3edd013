/**
 * In a thread for machines: a machine, its devices, and the file systems behind them. Several share a
 * thread by turns; each talks through a port of its own, and leaves nothing when it ends.
 */
import { readFile } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import type { MessagePort } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import {
  Machine,
  type MachineExit,
  openFork,
  prepareMemory,
  type Snapshot,
  VirtioConsole,
  type VirtioDevice,
} from '@anole/machine/runtime';
import type { ConnectionRecord } from '@anole/net';
import { agentPortName } from '../agent/wire.ts';

export { prepareHarts } from './hart-parts.ts';

import { kernelCommandLine } from '../guest/boot.ts';
import { hasPlainMountPoints } from '../guest/root.ts';
import type { GuestNetwork } from '../network/serve-network.ts';
import { AgentLine } from './agent-line.ts';
import { type FileSystems, fileSystems } from './file-systems.ts';
import { Namespace } from './files/namespace.ts';
import { FilesServer } from './files/serve.ts';
import { continueFiles, forkIn, forkSandbox } from './fork.ts';
import { jit } from './hart-parts.ts';
import type {
  BaseFile,
  Command,
  ControlCommand,
  EndReport,
  MachineOrder,
  Report,
  SandboxFork,
} from './messages.ts';
import { OutputGate } from './output-gate.ts';
import { rehearse } from './rehearsal.ts';
import { reported } from './reported.ts';
import { control, limitReporter } from './run-control.ts';
import { terminalSlots } from './shape.ts';
import { openTemplate, removeTemplate, saveTemplate } from './template.ts';

/** Ports of the console device before the terminals: the kernel's console, the agent. */
const firstTerminal = 2;
/** Characters of the kernel's console that are kept to explain an end. */
const consoleTail = 16 * 1024;
const agentPort = 1;
/** How long a machine runs before the memory of the next one is made: a short command has ended by then. */
const untilNext = 300; // ms

/** Runs the machine of an order until it ends. Failures are reported, not thrown. */
export async function serve(order: MachineOrder, port: MessagePort): Promise<void> {
  const link = new Link(port);
  try {
    await using files = await fileSystems(
      order,
      limitReporter((report) => link.tell(report)),
    );
    const end = await runMachine(order, files, link);
    if (end.reason === 'panic') link.end({ type: 'panic', message: end.message });
    else link.end({ type: 'end', reason: end.reason === 'stopped' ? 'closed' : end.reason });
  } catch (error) {
    // Met in the middle of a run; at its start, a bad template is as none.
    if (AnoleError.is(error) && error.code === 'MACHINE_SNAPSHOT_DAMAGED') {
      for (const template of [order.template, order.rehearsed?.template]) {
        if (template !== undefined) removeTemplate(template);
      }
    }
    link.end({ type: 'failed', error: reported(error) });
  }
  // Threads end at once, and nothing would be kept of what they compiled: what a machine needs is known now.
  flushCompileCache();
  link.tell({ type: 'ended' });
  port.close();
}

/** What a machine has to do with the one who ordered it. */
class Link {
  readonly port: MessagePort;
  #console = '';
  /** Forks are taken one after the other: each finds the machine at rest. */
  lastFork: Promise<unknown> = Promise.resolve();

  constructor(port: MessagePort) {
    this.port = port;
  }

  /** Posts a report; `bytes` that own their memory move instead of being copied. */
  tell(report: Report, bytes?: Uint8Array): void {
    const whole = bytes !== undefined && bytes.byteLength === bytes.buffer.byteLength;
    this.port.postMessage(report, whole ? [bytes.buffer as ArrayBuffer] : []);
  }

  /** Keeps the end of what the kernel says: a guest may say much, and nobody asks before it ends. */
  readonly onSerial = (bytes: Uint8Array): void => {
    const text = Buffer.from(bytes.subarray(-consoleTail)).toString('latin1');
    this.#console = (this.#console + text).slice(-consoleTail);
  };

  /** Tells how the machine ended, and what its kernel said last. */
  end(report: EndReport): void {
    this.tell({ ...report, console: this.#console });
  }
}

/** A machine, and all that is behind its devices. */
interface Served {
  readonly link: Link;
  readonly machine: Machine;
  readonly files: FileSystems;
  readonly network: GuestNetwork | undefined;
  readonly console: VirtioConsole;
  readonly gates: readonly OutputGate[];
  /** The file that pages come from. */
  readonly base: BaseFile | undefined;
}

async function runMachine(
  order: MachineOrder,
  files: FileSystems,
  link: Link,
): Promise<MachineExit> {
  const { onSerial } = link;
  using network = await networkOf(order, link);
  const gates = Array.from({ length: terminalSlots(order.terminals) }, () => new OutputGate());
  const line = new AgentLine((report, bytes) => link.tell(report, bytes));
  using start = await startOf(order, files);
  const console = consoleDevice(link, gates, line);
  const devices = [console, ...files.devices, ...(network ? [network.device] : [])];
  const machine = await (start === undefined
    ? boot(order, devices, onSerial)
    : Machine.restore({ snapshot: start.snapshot, devices, onSerial, jit }));
  const served = { link, machine, files, network, console, gates, base: start?.base };
  network?.stack.reset(start?.connections ?? []);
  const greeting = start === undefined ? line.next() : Promise.resolve(start.hello);
  link.port.on('message', (command: Command) => obey(command, served, greeting));
  if (order.files !== undefined) {
    const names = new Namespace(files.mounted[0], files.mounted.slice(1));
    new FilesServer(names, files.root.tree, order.files);
  }
  machine.cpuShare = order.cpuShare;
  const ended = machine.run();
  using _ = order.cpus === 1 ? later(() => prepareMemory(order.memoryMiB * 2 ** 20)) : undefined;
  if (start?.isReady) line.open(start.hello);
  else void greeting.then((hello) => makeReady(order, served, line, hello, start === undefined));
  try {
    return await ended;
  } finally {
    await machine.stop();
  }
}

/** Acts once a machine has run for a while, unless it ended before. What fails is left to who needs it. */
function later(act: () => void): Disposable {
  const timer = setTimeout(() => {
    try {
      act();
    } catch {}
  }, untilNext).unref();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** What a machine goes on from, its file systems already where the guest left them. */
interface Start extends Disposable {
  readonly snapshot: Snapshot;
  readonly hello: Uint8Array;
  /** The file that pages come from. */
  readonly base: BaseFile | undefined;
  /** Connections that the guest believes to have. */
  readonly connections: readonly ConnectionRecord[];
  /** False for one that has yet to rehearse. */
  readonly isReady: boolean;
}

/** A fork or a saved sandbox, else a template that fits; undefined: boot. */
async function startOf(order: MachineOrder, files: FileSystems): Promise<Start | undefined> {
  const { fork, saved, template } = order;
  if (fork !== undefined) return await startOfFork(forkIn(fork), files);
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
  return { ...found, isReady, base, connections: [] };
}

async function startOfFork(fork: SandboxFork, files: FileSystems): Promise<Start> {
  const { openBase } = await import('./base.ts');
  using taken = new DisposableStack();
  const base = fork.base && taken.use(openBase(fork.base));
  const snapshot = openFork(fork.machine, base?.snapshot);
  await continueFiles(files, fork, base?.chunks);
  const { hello, connections } = fork;
  const kept = taken.move();
  const close = () => kept.dispose();
  return { snapshot, hello, base: base?.file, connections, isReady: true, [Symbol.dispose]: close };
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
    [Symbol.dispose]: close,
  };
}

async function boot(
  order: MachineOrder,
  devices: readonly VirtioDevice[],
  onSerial: (bytes: Uint8Array) => void,
): Promise<Machine> {
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

/** The agent serves: what all sandboxes have in common is done, and kept for them. */
async function makeReady(
  { template, rehearsed }: MachineOrder,
  { machine, files, console }: Served,
  line: AgentLine,
  hello: Uint8Array,
  isBooted: boolean,
): Promise<void> {
  const { root } = files;
  const keeps = template !== undefined && (await hasPlainMountPoints(root.tree));
  if (isBooted && keeps) {
    const state = () => ({ hello, root: root.server.saveState() });
    // A full disk, for one: the next sandbox boots, too.
    await saveTemplate(machine, template, state).catch(() => {});
  }
  root.server.settle();
  const agent = console.ports[agentPort]!;
  if (rehearsed && keeps) await rehearse(rehearsed, { machine, files, agent, line, hello });
  line.open(hello);
}

/** Loaded only where there is a network: it is much code. */
async function networkOf({ network }: MachineOrder, link: Link): Promise<GuestNetwork | undefined> {
  if (network === undefined) return undefined;
  const { serveNetwork } = await import('../network/serve-network.ts');
  const served = await serveNetwork(network, (event) => link.tell({ type: 'network', event }));
  link.tell({ type: 'listening', ports: served.ports });
  return served;
}

function consoleDevice(link: Link, gates: readonly OutputGate[], line: AgentLine): VirtioConsole {
  const terminals = gates.map((gate, terminal) => ({
    console: true,
    onData: (bytes: Uint8Array) => {
      link.tell({ type: 'output', terminal, bytes }, bytes);
      return gate.sent(bytes.length);
    },
  }));
  return new VirtioConsole([
    { console: true, onData: link.onSerial },
    { name: agentPortName, onData: line.accept },
    ...terminals,
  ]);
}

const controls: ReadonlySet<string> = new Set(['pause', 'resume', 'share', 'statistics']);

function isControl(command: Command): command is ControlCommand {
  return controls.has(command.type);
}

function obey(command: Command, served: Served, hello: Promise<Uint8Array>): void {
  const { link, machine, console, gates } = served;
  if (isControl(command)) {
    control(command, served, (report) => link.tell(report));
    return;
  }
  if (command.type === 'stop') void machine.stop();
  else if (command.type === 'connect') served.network?.connect(command.port, command.guest);
  else if (command.type === 'fork') void forkFor(command, served, hello);
  else if (command.type === 'agent') void console.ports[agentPort]!.write(command.bytes);
  else if (command.type === 'consumed') gates[command.terminal]?.consumed(command.bytes);
  else {
    const port = console.ports[firstTerminal + command.terminal];
    if (port === undefined) return;
    if (command.type === 'resize') port.resize(command.size);
    else {
      const { terminal, bytes } = command;
      void port
        .write(bytes)
        .then(() => link.tell({ type: 'taken', terminal, bytes: bytes.length }));
    }
  }
}

async function forkFor(
  { id, code, to }: Command & { readonly type: 'fork' },
  served: Served,
  greeting: Promise<Uint8Array>,
): Promise<void> {
  const { link } = served;
  const taken = link.lastFork.then(async () => forkSandbox(served, await greeting, code));
  link.lastFork = taken.catch(() => {});
  try {
    to.postMessage(await taken);
    link.tell({ type: 'forked', id });
  } catch (error) {
    link.tell({ type: 'not-forked', id, error: reported(error) });
  }
}
