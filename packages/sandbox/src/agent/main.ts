/**
 * The guest agent: first process of the guest, run by QuickJS (`qjs --std`) inside the image's
 * root. It starts commands for the host over one virtio console port and carries their streams.
 */
import { Command } from './command.ts';
import { configure, startRenewal } from './configure.ts';
import { drop } from './drop.ts';
import { launcherEnded, prepareLauncher } from './launcher.ts';
import { lookForLimits, memoryOf, prepareGroup, processCount, reportLimits } from './limits.ts';
import { type Outlet, Port } from './port.ts';
import { run } from './process.ts';
import { readText } from './system.ts';
import {
  agentPortName,
  asciiText,
  type DropRequest,
  protocolVersion,
  toGuest,
  toHost,
} from './wire.ts';

const commands = new Map<number, Command>();
/** Those whose process lives, by process id. */
const running = new Map<number, Command>();
/** Calls {@link watch}, while there is something to look after. */
let watching: unknown;
/** The process that was started ahead. */
const idleProcesses = 1;
/**
 * In so many looks of {@link watch}, one is for limits: what the kernel says of them is long, and a
 * hundred sandboxes that wait would take a processor for reading it each second.
 */
const looksPerLimits = 5;
let looks = 0;
/** How long a command of a rehearsal may take, and what it leaves behind to settle. */
const rehearsal = { patience: 5000, settling: 100 } as const; // ms
const portsDirectory = '/sys/class/virtio-ports';

const port = new Port(findPort(), onFrame, () => {
  for (const command of commands.values()) command.update();
});
os.signal(os.SIGCHLD, reap);
// The kernel's devtmpfs has no names for what is a process's own.
os.symlink('/proc/self/fd', '/dev/fd');
for (const [fd, name] of ['stdin', 'stdout', 'stderr'].entries()) {
  os.symlink(`/proc/self/fd/${fd}`, `/dev/${name}`);
}
startRenewal();
prepareGroup();
reportLimits((limit) => port.sendJson(toHost.limit, 0, { limit }));
prepareLauncher();
port.sendJson(toHost.hello, 0, { version: protocolVersion });

function onFrame(
  type: number,
  id: number,
  buffer: ArrayBuffer,
  offset: number,
  length: number,
): void {
  if (type === toGuest.spawn) {
    start(port, id, new Uint8Array(buffer, offset, length));
    return;
  }
  if (type === toGuest.sync) {
    sync(id);
    return;
  }
  if (type === toGuest.statistics) {
    port.sendJson(toHost.statistics, id, { processes: processCount(), memory: memoryOf() });
    return;
  }
  if (type === toGuest.drop) {
    drop(JSON.parse(asciiText(new Uint8Array(buffer, offset, length))) as DropRequest[]);
    port.sendBytes(toHost.dropped, id, new Uint8Array(0));
    return;
  }
  if (type === toGuest.rehearse) {
    // The port uses its buffer again before the last of them is started.
    rehearse(id, new Uint8Array(buffer.slice(offset, offset + length)));
    return;
  }
  if (type === toGuest.configure) {
    answerConfiguration(id, new Uint8Array(buffer, offset, length));
    return;
  }
  const view = new DataView(buffer, offset, length);
  const command = commands.get(id);
  if (command === undefined) return; // it ended while the frame was on its way
  if (type === toGuest.stdin) command.input(buffer, offset, length);
  else if (type === toGuest.stdinEnd) command.inputEnd();
  else if (type === toGuest.credit) command.grant(view.getUint8(0), view.getUint32(1, true));
  else if (type === toGuest.signal) command.signal(view.getUint8(0));
  else if (type === toGuest.resize)
    command.resize(view.getUint16(0, true), view.getUint16(2, true));
}

function start(outlet: Outlet, id: number, payload: Uint8Array): Command | undefined {
  const command = Command.start(outlet, id, payload);
  if (command === undefined) return undefined;
  commands.set(id, command);
  watching ??= os.setTimeout(watch, 1000);
  running.set(command.pid, command);
  return command;
}

/**
 * Runs commands one after the other for what that brings into memory; nobody gets what they say. Then all
 * is as it was before.
 *
 * @param payloads of frames `spawn`, the length of each before it
 */
function rehearse(id: number, payloads: Uint8Array): void {
  if (payloads.length === 0) {
    for (const [each, command] of commands) if (command.finished) commands.delete(each);
    if (running.size === 0 && watching !== undefined) os.clearTimeout(watching);
    watching = undefined;
    port.sendBytes(toHost.rehearsed, id, new Uint8Array(0));
    return;
  }
  const end = 4 + new DataView(payloads.buffer, payloads.byteOffset).getUint32(0, true);
  let late: unknown;
  const onEnd = () => {
    if (late !== undefined) os.clearTimeout(late);
    os.setTimeout(() => rehearse(id, payloads.subarray(end)), rehearsal.settling);
  };
  const nobody: Outlet = {
    blocked: false,
    sendJson: (type) => type === toHost.refused && onEnd(),
    sendWord: (type) => type === toHost.exit && onEnd(),
    sendBytes: () => {},
    sendFrame: () => true,
  };
  const command = start(nobody, id, payloads.subarray(4, end));
  if (command !== undefined) late = os.setTimeout(() => command.signal(9), rehearsal.patience);
}

function answerConfiguration(id: number, payload: Uint8Array): void {
  try {
    port.sendBytes(toHost.configured, id, configure(payload) ? restart() : new Uint8Array(0));
  } catch (error) {
    port.sendJson(toHost.notConfigured, id, { error: String(error) });
  }
}

/**
 * This is the copy of a machine: another host listens now, which is told what there is.
 *
 * @returns of each command that runs its number and a bit for each of its streams that is open: u32 each
 */
function restart(): Uint8Array {
  const there: number[] = [];
  for (const command of commands.values()) {
    const streams = command.restart();
    if (streams !== undefined) there.push(command.id, streams);
  }
  const payload = new DataView(new ArrayBuffer(4 * there.length));
  for (let at = 0; at < there.length; at++) payload.setUint32(4 * at, there[at]!, true);
  return new Uint8Array(payload.buffer);
}

function sync(id: number): void {
  run('sync');
  port.sendBytes(toHost.synced, id, new Uint8Array(0));
}

/** Collects ended processes: commands, and orphans, which fall to the first process. */
function reap(): void {
  for (;;) {
    const [pid, status] = os.waitpid(-1, os.WNOHANG);
    if (pid <= 0) return;
    launcherEnded(pid);
    const command = running.get(pid);
    running.delete(pid);
    command?.end(status);
  }
}

/**
 * QuickJS looks for signals before it waits in select, not while: one that comes between is seen at
 * the next event only. This one is never far.
 */
function watch(): void {
  reap();
  for (const [id, command] of commands) if (command.finished) commands.delete(id);
  const wanted = running.size > 0 || processCount() > idleProcesses;
  if (!wanted || ++looks % looksPerLimits === 0) lookForLimits();
  watching = wanted ? os.setTimeout(watch, 1000) : undefined;
}

/** The port's device, by its name; the kernel adds ports a moment after it starts this process. */
function findPort(): string {
  for (let tries = 0; tries < 400; tries++) {
    const [names] = os.readdir(portsDirectory);
    for (const name of names) {
      if (readText(`${portsDirectory}/${name}/name`).trim() === agentPortName)
        return `/dev/${name}`;
    }
    os.sleep(5);
  }
  throw new Error(`no virtio console port has the name ${agentPortName}`);
}
