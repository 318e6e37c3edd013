/**
 * What runs machines, without the tools around them (assembler, disassembler, programs without a kernel):
 * less to load for a thread that does only that.
 */
export type { VirtioDevice } from './devices/virtio/device.ts';
export { SharedMemory } from './devices/virtio/shared-memory.ts';
export { VirtioConsole } from './devices/virtio-console/device.ts';
export { VirtioFs } from './devices/virtio-fs/device.ts';
export { VirtioNet } from './devices/virtio-net/device.ts';
export { type HartParts, makeHartParts, useHartParts } from './hart/create.ts';
export { hasFusedMultiplyAdd } from './hart/interpreter/has-fused.ts';
export { Machine } from './machine.ts';
export type { MachineExit } from './machine-options.ts';
export { type MachineFork, openFork } from './snapshot/fork.ts';
export { openSnapshot, type Snapshot } from './snapshot/read.ts';
export { forkPieces } from './snapshot/write.ts';
