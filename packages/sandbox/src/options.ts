import type { CallOptions } from '@anole/bytes';
import type { ExecOptions } from './command.ts';
import type { NetworkOptions } from './network/options.ts';
import type { PrepareOptions } from './prepare.ts';

/** A directory of the host, or an image, that the guest sees. */
export interface Volume {
  /**
   * Path of a directory, an EROFS image or a tar archive; or a container image with its transport
   * (`docker://HOST/NAME:TAG`, `oci:PATH` …). An image must stay as it is.
   */
  readonly host: string;
  /** Absolute, in the guest. Made where it is missing. */
  readonly guest: string;
  /** Default false; an image is always only read. */
  readonly readOnly?: boolean;
}

export interface SandboxOptions extends CallOptions, PrepareOptions {
  /** Memory of the guest in MiB, 96 to 3072. Default 512. */
  readonly memoryMiB?: number;
  /** Processors of the guest, 1 to 16: each has a thread. Default 1, which is the fastest one. */
  readonly cpus?: number;
  /** Bytes that the guest may write over its image, kept in this process. Default 4 GiB. */
  readonly maxWritten?: number;
  readonly volumes?: readonly Volume[];
  readonly hostname?: string;
  /**
   * Keep the booted machine as a template in the cache, and start from one that is there: default
   * true. A machine of another kernel, memory size or number of devices has its own.
   */
  readonly template?: boolean;
  /** Time of a processor that the guest may take: 0.5 is half of one. Default: all of its own. */
  readonly cpuShare?: number;
  /** Processes and threads that commands may have at once. Default 1024. */
  readonly maxProcesses?: number;
  /** Milliseconds after which the sandbox ends, and all commands raise `SANDBOX_TIMEOUT`. */
  readonly lifetime?: number;
  /** Commands with a terminal that may run at once, at most 15. Default 2. */
  readonly terminals?: number;
  /**
   * Default false: nothing but the guest's own loopback. With true the public Internet is open, and
   * neither this computer nor private networks. See `docs/guides/network.md`.
   */
  readonly network?: boolean | NetworkOptions;
}

export interface ForkOptions extends CallOptions {
  /** Default: the name of the sandbox with a number. */
  readonly hostname?: string;
}

export type AttachOptions = Pick<ExecOptions, 'stdin' | 'timeout' | 'signal'>;

export interface SnapshotOptions extends Pick<CallOptions, 'signal'> {
  /** Kept in the file, for `Sandbox.inspect`. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** What a saved sandbox gets anew; all else is in its file. */
export interface RestoreOptions
  extends PrepareOptions,
    Pick<SandboxOptions, 'volumes' | 'network' | 'hostname' | 'lifetime' | 'cpuShare'> {
  /** The image, where it is not where it was, or has another name here. */
  readonly image?: string;
  /**
   * Give it the volumes, the network and the published ports that the file says it had. Default false:
   * it gets what `volumes` and `network` say. Only for files that nobody else could have written.
   */
  readonly trust?: boolean;
  /** Check the whole file first: default false, what is damaged is met when the guest touches it. */
  readonly verify?: boolean;
}
