/**
 * System calls that Node lacks, through koffi where it is installed: memory files with seals, shared
 * mappings, event counters, descriptors sent over Unix sockets, mounts, holes of files, files
 * whose contents come when they are read, logs that stay small, programs that the kernel runs (BPF).
 * Elsewhere all raise `HOST_NO_NATIVE` that cannot do without.
 *
 * @example
 * import { addSeals, mapFile, memoryFile, Seal } from '@anole/host/native';
 * const fd = memoryFile('table', 4096);
 * addSeals(fd, Seal.shrink | Seal.grow);
 * using mapping = mapFile(fd, 4096, { writable: true });
 */
export { BpfTable, ownCgroup, SocketProgram } from './bpf.ts';
export { assembleBpf, type BpfInstruction, bpf } from './bpf-program.ts';
export { eventCounter } from './event-counter.ts';
export { FuseBackings } from './fuse-backings.ts';
export { giveBackMemory } from './give-back.ts';
export {
  type Activity,
  activityOf,
  type Holder,
  holdDescriptors,
  isRunning,
  killProcess,
  type ProcessId,
  processId,
  takeDescriptors,
} from './holder.ts';
export {
  isSmcSocket,
  smcSocket,
  socketCookie,
  tcpSocket,
  unfragmentedUdp,
} from './ip-socket.ts';
export { closeDescriptor, hasNative } from './koffi.ts';
export { LogFile } from './log-file.ts';
export { type Mapping, type MappingOptions, mapFile } from './mapping.ts';
export { addSeals, memoryFile, Seal, sealsOf } from './memory-file.ts';
export { MountFlag, mount, unmount } from './mount.ts';
export { askNetlink, type NetlinkRequest } from './netlink.ts';
export { nextData } from './next-data.ts';
export { isOpenElsewhere } from './open-elsewhere.ts';
export { PreContentGroup } from './pre-content.ts';
export type { AccessEvent } from './pre-content-events.ts';
export { ReadyBlocks } from './ready-blocks.ts';
export {
  connectUnix,
  type PeerCredentials,
  peerCredentials,
  type Received,
  receiveDescriptors,
  sendDescriptors,
  unixPair,
  writeSmall,
} from './unix-socket.ts';
