import type { MessagePort } from 'node:worker_threads';
import type { FuseFork, FuseState, PackedFuseFork } from '@anole/fuse';
import type { HartParts, MachineFork } from '@anole/machine/runtime';
import type { ConnectionRecord, NetworkEvent } from '@anole/net';
import type { OnDemandReference } from '@anole/nydus/on-demand';
import type { OverlayState } from '@anole/vfs';
import type { NetworkOrder, PublishedPort } from '../network/options.ts';
import type { EngineStatistics, TerminalSize } from './engine.ts';

/** What a guest's file system comes from, as the worker opens it. */
export type TreeSource = ImageSource | { readonly kind: 'directory'; readonly path: string };

/** A tree that nobody changes. */
export type ImageSource =
  | { readonly kind: 'erofs'; readonly path: string }
  /** In a registry, read as the guest reads it. */
  | {
      readonly kind: 'on-demand';
      /** Directory of what has come. */
      readonly path: string;
      readonly image: OnDemandReference;
    }
  | { readonly kind: 'tar'; readonly path: string };

/** What is offered at a path of the guest. */
export type VolumeSource = DirectoryVolume | ImageVolume;

/** A directory of the host, which others may change, too. */
export interface DirectoryVolume {
  /** Absolute, in the guest. */
  readonly path: string;
  readonly directory: string;
  readonly readOnly: boolean;
}

/** An image, which is only read. */
export interface ImageVolume {
  /** Absolute, in the guest. */
  readonly path: string;
  /** As the user named it. */
  readonly name: string;
  readonly image: ImageSource;
}

export function isImageVolume(volume: VolumeSource): volume is ImageVolume {
  return 'image' in volume;
}

export interface TemplateFile {
  readonly path: string;
  /** 32 bytes: what the machine is made of. */
  readonly identity: Uint8Array;
}

/** A template of a machine in which commands ran. */
export interface Rehearsal {
  readonly template: TemplateFile;
  /** Of the frame `rehearse`. */
  readonly payload: Uint8Array;
}

/** A file with pages that machines stand on, open as long as a machine does that says so. */
export interface BaseFile {
  readonly kind: 'template' | 'sandbox';
  readonly path: string;
}

/** Files that a machine boots from. */
export interface BootFiles {
  /** The kernel's Image. */
  readonly kernel: string;
  /** The guest's first file system. */
  readonly initramfs: string;
  /** An archive that is unpacked behind `initramfs`: the driver of the network's device. */
  readonly modules?: string;
}

/** What the worker is started with. */
export interface MachineOrder {
  readonly root: TreeSource;
  readonly volumes: readonly VolumeSource[];
  /** Absent where it goes on from something. */
  readonly boot?: BootFiles;
  /** Absent: no network device. */
  readonly network?: NetworkOrder;
  readonly memoryMiB: number;
  /** Harts, each with a thread beyond the first. */
  readonly cpus: number;
  /** Bytes the writable layer over the image may take. */
  readonly maxWritten: number;
  /** Time of a processor that the guest may take. Absent: all of one. */
  readonly cpuShare?: number;
  /** Terminals the guest gets: hvc1 and on. */
  readonly terminals: number;
  /** Where a booted machine of this kind is kept, or shall be. Absent: boot, and keep nothing. */
  readonly template?: TemplateFile;
  /** The same after a rehearsal in this very image, which takes the place of `template`. */
  readonly rehearsed?: Rehearsal;
  /** Takes calls for the guest's files: see `files/messages.ts`. */
  readonly files?: MessagePort;
  /** Gives the machine to go on from, a {@link PostedFork}. Absent: `saved`, the template, or a boot. */
  readonly fork?: MessagePort;
  /** Path of a file with the sandbox to go on from. */
  readonly saved?: string;
  /** What makes the guest a sandbox's own: payload of a frame `configure`, but for the moment in it. */
  readonly configuration?: Uint8Array<ArrayBuffer>;
}

/** A running machine as it was at one moment, and what is behind its devices. Memory is shared. */
export interface SandboxFork {
  readonly machine: MachineFork;
  /** What the machine stands on: open as long as the sandbox that was forked. */
  readonly base?: BaseFile;
  readonly root: { readonly tree: OverlayState; readonly server: FuseFork };
  /** What the guest knows of its volumes, which are the same directories. */
  readonly volumes: readonly FuseState[];
  /** TCP connections of the guest: they stay the parent's, and end in the copy. */
  readonly connections: readonly ConnectionRecord[];
  /** The agent's first frame. */
  readonly hello: Uint8Array;
}

/** The same on its way to a thread. */
export type PostedFork = Omit<SandboxFork, 'root'> & {
  readonly root: { readonly tree: OverlayState; readonly server: PackedFuseFork };
};

/** To a thread: a machine to run, and where to talk about it: {@link Command}, {@link Report}. */
export interface ThreadOrder {
  readonly order: MachineOrder;
  readonly port: MessagePort;
}

/** What a worker has before its order. */
export interface ThreadData {
  /** Of the first worker, for those after it. */
  readonly code: HartParts | undefined;
  /** See `machineStamp`. */
  readonly stamp: string;
}

/** How the machine runs. */
export type ControlCommand =
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'share'; readonly share: number | undefined }
  | { readonly type: 'statistics'; readonly id: number };

/** To a machine. */
export type Command =
  | ControlCommand
  | { readonly type: 'agent'; readonly bytes: Uint8Array }
  | { readonly type: 'input'; readonly terminal: number; readonly bytes: Uint8Array }
  | { readonly type: 'consumed'; readonly terminal: number; readonly bytes: number }
  | { readonly type: 'resize'; readonly terminal: number; readonly size: TerminalSize }
  | { readonly type: 'connect'; readonly guest: number; readonly port: MessagePort }
  /** Asks for a {@link PostedFork}, posted to `to`. `code`: with what its hart has compiled. */
  | {
      readonly type: 'fork';
      readonly id: number;
      readonly code: boolean;
      readonly to: MessagePort;
    }
  | { readonly type: 'stop' };

/** From a thread, once it is ready for orders. */
export interface ThreadReport {
  readonly code: HartParts;
}

/** About a machine, from its thread. */
export type Report =
  | { readonly type: 'agent'; readonly bytes: Uint8Array }
  | { readonly type: 'output'; readonly terminal: number; readonly bytes: Uint8Array }
  /** The guest took a terminal's input: so much, that more may be sent. */
  | { readonly type: 'taken'; readonly terminal: number; readonly bytes: number }
  | { readonly type: 'statistics'; readonly id: number; readonly value: EngineStatistics }
  | { readonly type: 'limit'; readonly limit: 'disk' }
  /** Last of all: nothing of the machine is left. */
  | { readonly type: 'ended' }
  /** The published ports, before all else. */
  | { readonly type: 'listening'; readonly ports: readonly PublishedPort[] }
  | { readonly type: 'network'; readonly event: NetworkEvent }
  /** The fork was posted to the port that was given. */
  | { readonly type: 'forked'; readonly id: number }
  | { readonly type: 'not-forked'; readonly id: number; readonly error: ReportedError }
  | (EndReport & {
      /** The end of what the kernel said. */
      readonly console: string;
    });

/** How a machine ended. */
export type EndReport =
  | { readonly type: 'end'; readonly reason: 'poweroff' | 'reboot' | 'closed' }
  | { readonly type: 'panic'; readonly message: string }
  | { readonly type: 'failed'; readonly error: ReportedError };

/** An error as it crosses between threads: a class does not survive the way. */
export interface ReportedError {
  readonly message: string;
  readonly code?: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly stack?: string;
}
