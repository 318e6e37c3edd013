/**
 * In a thread for machines: a machine, its devices, and the file systems behind them. Several share a
 * thread by turns; each talks through a port of its own, and leaves nothing when it ends.
 */
import { flushCompileCache } from 'node:module';
import type { MessagePort } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import { Machine, type MachineExit, VirtioConsole } from '@anole/machine/runtime';
import { agentPortName, toGuest } from '../agent/wire.ts';
import { setMoment } from '../client/configure-payload.ts';
import { writeFrame } from '../client/frames.ts';

export { prepareHarts } from './hart-parts.ts';

import { hasPlainMountPoints } from '../guest/root.ts';
import type { GuestNetwork } from '../network/serve-network.ts';
import { AgentLine } from './agent-line.ts';
import { type FileSystems, fileSystems } from './file-systems.ts';
import { Namespace } from './files/namespace.ts';
import { FilesServer } from './files/serve.ts';
import { forkSandbox, posted } from './fork.ts';
import { jit } from './hart-parts.ts';
import type {
  BaseFile,
  Command,
  ControlCommand,
  EndReport,
  MachineOrder,
  Report,
} from './messages.ts';
import { OutputGate } from './output-gate.ts';
import { rehearse } from './rehearsal.ts';
import { reported } from './reported.ts';
import { control, limitReporter } from './run-control.ts';
import { terminalSlots } from './shape.ts';
import { boot, startOf } from './start.ts';
import { removeTemplate } from './template.ts';

/** Ports of the console device before the terminals: the kernel's console, the agent. */
const firstTerminal = 2;
/** Characters of the kernel's console that are kept to explain an end. */
const consoleTail = 16 * 1024;
const agentPort = 1;

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
  /** Resolves when the machine is to stop, whether it is there yet or not. */
  readonly stopped: Promise<void>;
  readonly #early: Command[] = [];
  #obey = (command: Command): void => void this.#early.push(command);
  #console = '';
  /** Forks are taken one after the other: each finds the machine at rest. */
  lastFork: Promise<unknown> = Promise.resolve();

  constructor(port: MessagePort) {
    this.port = port;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.stopped = promise;
    port.on('message', (command: Command) => {
      if (command.type === 'stop') resolve();
      this.#obey(command);
    });
  }

  /** Sets who gets commands, those that came before, too. */
  receive(obey: (command: Command) => void): void {
    this.#obey = obey;
    for (const command of this.#early.splice(0)) obey(command);
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
  /** Ends it for what a device met that was given something: a page of a damaged snapshot. */
  readonly fail: (error: unknown) => void;
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
  using start = await startOf(order, files, link.stopped);
  const console = consoleDevice(link, gates, line);
  const devices = [console, ...files.devices, ...(network ? [network.device] : [])];
  const machine = await (start === undefined
    ? boot(order, devices, onSerial)
    : Machine.restore({ snapshot: start.snapshot, isCopy: start.isCopy, devices, onSerial, jit }));
  const { promise: failure, reject: fail } = Promise.withResolvers<never>();
  failure.catch(() => {});
  const served = { link, machine, files, network, console, gates, base: start?.base, fail };
  network?.stack.reset(start?.connections ?? []);
  const greeting = start === undefined ? line.next() : Promise.resolve(start.hello);
  link.receive((command) => obey(command, served, greeting));
  if (order.files !== undefined) {
    const names = new Namespace(files.mounted[0], files.mounted.slice(1));
    new FilesServer(names, files.root.tree, order.files);
  }
  machine.cpuShare = order.cpuShare;
  // The agent has it before the guest executes anything.
  if (start?.isReady) greet(order, served, line, start.hello);
  const ended = machine.run();
  if (!start?.isReady) {
    greeting
      .then((hello) => makeReady(order, served, line, hello, start === undefined))
      .catch(fail);
  }
  try {
    return await Promise.race([ended, failure]);
  } finally {
    await machine.stop();
  }
}

/** The agent serves: what all sandboxes have in common is done, and kept for them. */
async function makeReady(
  order: MachineOrder,
  served: Served,
  line: AgentLine,
  hello: Uint8Array,
  isBooted: boolean,
): Promise<void> {
  const { template, rehearsed } = order;
  const { machine, files, console } = served;
  const { root } = files;
  const keeps = template !== undefined && (await hasPlainMountPoints(root.tree));
  if (isBooted && keeps) {
    const state = () => ({ hello, root: root.server.saveState() });
    const { saveTemplate } = await import('./save-template.ts');
    // A full disk, for one: the next sandbox boots, too.
    await saveTemplate(machine, template, state).catch(() => {});
  }
  root.server.settle();
  const agent = console.ports[agentPort]!;
  if (rehearsed && keeps) await rehearse(rehearsed, { machine, files, agent, line, hello });
  greet(order, served, line, hello);
}

/** Has the owner hear the agent, and the agent make the guest the owner's. */
function greet(
  { configuration }: MachineOrder,
  { console, fail }: Served,
  line: AgentLine,
  hello: Uint8Array,
): void {
  line.open(hello);
  if (configuration === undefined) return;
  setMoment(configuration, Date.now());
  const frame = writeFrame(toGuest.configure, 0, configuration);
  console.ports[agentPort]!.write(frame).catch(fail);
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
  const { link, machine, console, gates, fail } = served;
  if (isControl(command)) {
    control(command, served, (report) => link.tell(report));
    return;
  }
  if (command.type === 'stop') void machine.stop();
  else if (command.type === 'connect') served.network?.connect(command.port, command.guest);
  else if (command.type === 'fork') void forkFor(command, served, hello);
  else if (command.type === 'agent') {
    console.ports[agentPort]!.write(command.bytes).catch(fail);
  } else if (command.type === 'consumed') gates[command.terminal]?.consumed(command.bytes);
  else {
    const port = console.ports[firstTerminal + command.terminal];
    if (port === undefined) return;
    if (command.type === 'resize') port.resize(command.size);
    else {
      const { terminal, bytes } = command;
      port
        .write(bytes)
        .then(() => link.tell({ type: 'taken', terminal, bytes: bytes.length }))
        .catch(fail);
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
    to.postMessage(posted(await taken));
    link.tell({ type: 'forked', id });
  } catch (error) {
    link.tell({ type: 'not-forked', id, error: reported(error) });
  }
}
