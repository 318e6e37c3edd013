/**
 * A RISC-V virtual machine in WebAssembly: boots Linux, runs bare-metal programs. Runs in browsers.
 *
 * @example
 * import { readFile } from 'node:fs/promises';
 * import { Machine, VirtioConsole } from '@anole/machine';
 *
 * const terminal = { console: true, onData: (bytes) => void process.stdout.write(bytes) };
 * const machine = await Machine.create({
 *   kernel: await readFile('vmlinux'),
 *   initrd: await readFile('initramfs.cpio'),
 *   commandLine: 'console=hvc0',
 *   devices: [new VirtioConsole([terminal])],
 * });
 * const exit = await machine.run(); // { reason: 'poweroff', code: 0 }
 */
export type { ByteSink } from './devices/device.ts';
export type { VirtioDevice, VirtioHost } from './devices/virtio/device.ts';
export { SharedMemory } from './devices/virtio/shared-memory.ts';
export { VirtioConsole } from './devices/virtio-console/device.ts';
export type {
  ConsolePort,
  ConsolePortOptions,
  TerminalSize,
} from './devices/virtio-console/port.ts';
export {
  type FsHandler,
  type FsReply,
  VirtioFs,
  type VirtioFsOptions,
} from './devices/virtio-fs/device.ts';
export { type NetPeer, VirtioNet, type VirtioNetOptions } from './devices/virtio-net/device.ts';
export type { FrameOffload } from './devices/virtio-net/header.ts';
export { type RandomSource, VirtioRng } from './devices/virtio-rng/device.ts';
export { type MachineCode, MachineError } from './errors.ts';
export { createHart, type HartParts, makeHartParts, useHartParts } from './hart/create.ts';
export { type HartCode, HartError } from './hart/errors.ts';
export { GuestMemory } from './hart/guest-memory.ts';
export type { Bus, Clock, Hart, HartOptions, ResetState, RunExit } from './hart/hart.ts';
export { hasFusedMultiplyAdd } from './hart/interpreter/has-fused.ts';
export type { JitOptions } from './hart/jit/options.ts';
export type { SharedCode } from './hart/jit/shared-code.ts';
export { type LoopName, loopNames, prepareLoop } from './hart/microbench.ts';
export { assemble } from './isa/assemble.ts';
export { type Disassembly, disassemble } from './isa/disassemble.ts';
export { Machine } from './machine.ts';
export type {
  ForkOptions,
  MachineExit,
  MachineOptions,
  RestOptions,
  RestoreOptions,
  SaveOptions,
} from './machine-options.ts';
export { formatSignature } from './platform/htif.ts';
export { repeatableRandom } from './run/repeatable-random.ts';
export { type ElfExit, type ElfOptions, runElf } from './run/run-elf.ts';
export type { RunStatistics } from './run/runner.ts';
export type { MachineShape } from './snapshot/board-state.ts';
export { type MachineFork, openFork, type PageLayer } from './snapshot/fork.ts';
export { SNAPSHOT_VERSION } from './snapshot/layout.ts';
export { openSnapshot, type Snapshot } from './snapshot/read.ts';
export { forkPieces, type SnapshotOptions, type SnapshotSink } from './snapshot/write.ts';
