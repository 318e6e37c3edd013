import type { Stale } from '@anole/fuse';
import type { FileType } from '@anole/vfs';
import type { ReportedError } from '../engine/messages.ts';

/** What is known of a file of the guest. */
export interface FileInfo {
  readonly name: string;
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly type: FileType;
  /** Bytes of a file. */
  readonly size: number;
  /** Permission bits: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Milliseconds since 1970. */
  readonly mtime: number;
  /** Of a symbolic link: where it points. */
  readonly target?: string;
}

/** Attributes of what is made. What stands there already keeps its own where these are absent. */
export interface NewFileOptions {
  /** Permission bits. Default 0o644, of directories 0o755. */
  readonly mode?: number;
  /** `user[:group]`, each by name or number, as in the image's /etc/passwd. Default root. */
  readonly user?: string;
}

export interface WholeFile extends NewFileOptions {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Something that changed, told by {@link SandboxFiles.watch}. */
export interface FileEvent {
  /** `overflow`: more happened than was kept; look anew. */
  readonly kind: 'create' | 'write' | 'attributes' | 'remove' | 'rename' | 'overflow';
  /** Absolute. */
  readonly path: string;
  /** Of a rename: where it was before. */
  readonly from?: string;
}

/** To the thread of the machine; each has one answer. */
export type FilesCall =
  | { readonly op: 'stat'; readonly path: string; readonly follow: boolean }
  | { readonly op: 'list'; readonly path: string; readonly depth: number }
  /** Gives the file's first bytes, and a handle where there are more. */
  | { readonly op: 'open'; readonly path: string }
  | { readonly op: 'read'; readonly handle: number; readonly offset: number }
  | { readonly op: 'read-many'; readonly paths: readonly string[] }
  | ({ readonly op: 'create'; readonly path: string } & NewFileOptions)
  | { readonly op: 'append'; readonly handle: number; readonly bytes: Uint8Array }
  | { readonly op: 'commit'; readonly handle: number }
  /** Forgets a handle; what was appended is thrown away. */
  | { readonly op: 'close'; readonly handle: number }
  | { readonly op: 'write-many'; readonly files: readonly WholeFile[] }
  | ({ readonly op: 'mkdir'; readonly path: string } & NewFileOptions)
  | { readonly op: 'remove'; readonly path: string; readonly recursive: boolean }
  | { readonly op: 'move'; readonly from: string; readonly to: string }
  | { readonly op: 'watch'; readonly path: string; readonly recursive: boolean }
  | { readonly op: 'unwatch'; readonly handle: number }
  /** Gives a handle: of the archive of what was changed of the image, or of all that is there. */
  | { readonly op: 'archive'; readonly what: 'changes' | 'all' }
  /** The archive's next bytes; undefined at its end. */
  | { readonly op: 'archive-next'; readonly handle: number }
  /** The guest dropped what it was told to. */
  | { readonly op: 'dropped'; readonly stale: readonly Stale[] };

export type FilesRequest = FilesCall & { readonly id: number };

export interface OpenedFile {
  readonly info: FileInfo;
  readonly bytes: Uint8Array;
  readonly handle?: number;
}

/** From the thread. */
export type FilesReport =
  | {
      readonly id: number;
      readonly value?: unknown;
      /** What the guest holds of names that this call changed. */
      readonly stale?: readonly Stale[];
      readonly error?: ReportedError;
    }
  | { readonly watch: number; readonly events: readonly FileEvent[] };

/** Bytes that one message moves. */
export const chunkBytes = 1 << 20;
