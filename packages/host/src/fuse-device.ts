import { spawn } from 'node:child_process';
import { close, open, read, writev } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type Awaitable, isPromise } from '@anole/bytes';
import { HostError, hostError, systemCode } from './errors.ts';

/** Serves one request: `FuseServer.handle` of @anole/fuse fits. */
export type FuseHandler = (request: Uint8Array) => Awaitable<readonly Uint8Array[]>;

export interface FuseMountOptions {
  /** What the mount table calls it. Default `anole`. */
  readonly source?: string;
  /** Options of mount(8) beside those that this function sets, such as `ro`. */
  readonly options?: readonly string[];
  /**
   * Given the descriptor of the mount before it is mounted. As long as another process has a copy,
   * the mount outlives this one, and {@link resumeFuse} goes on with it.
   */
  readonly onDescriptor?: (fd: number) => Promise<void>;
}

export interface FuseMount extends AsyncDisposable {
  /** As the mount table has it: absolute, without links. */
  readonly directory: string;
  /** Unmounts, also where files are open. Who stands on it all the same, as an overlay, is served on. */
  unmount(): Promise<void>;
  /** Resolves when nobody has the file system any more, and rejects where it cannot be served. */
  readonly ended: Promise<void>;
  /** Unmounts, and waits until no request is served any more. */
  close(): Promise<void>;
}

/** The largest WRITE, its header, and room for what FUSE may add: fuse_dev_do_read's minimum. */
const BUFFER = 1024 * 1024 + 8192;
/** A read of /dev/fuse ends so when the file system is unmounted. */
const UNMOUNTED = 'ENODEV';
/** The request was given up before its reply came; the mount lives on. */
const GIVEN_UP = 'ENOENT';
const interrupted: ReadonlySet<string | undefined> = new Set(['EINTR', 'EAGAIN', GIVEN_UP]);

const readDevice = promisify(read);
const writeDevice = promisify(writev);

/**
 * Mounts a file system whose requests `handle` serves, on a directory of this machine, through
 * /dev/fuse. Needs root. The kernel checks permissions, and all users may look in.
 *
 * This process must not touch the directory by synchronous calls while it serves: it would wait for
 * itself.
 *
 * @throws HostError `HOST_NOT_FOUND`, `HOST_NO_TOOL` where /dev/fuse or mount(8) is missing, `HOST_NOT_PERMITTED`
 *   without root, `HOST_IO` where the kernel refuses the mount.
 */
export async function mountFuse(
  directory: string,
  handle: FuseHandler,
  { source = 'anole', options = [], onDescriptor }: FuseMountOptions = {},
): Promise<FuseMount> {
  const at = await realpath(directory).catch((error: unknown) => {
    throw hostError(error, `mount on ${directory}`);
  });
  const fd = await openDevice();
  try {
    await onDescriptor?.(fd);
    const all = ['fd=3', 'rootmode=40000', 'user_id=0', 'group_id=0', 'default_permissions'];
    await mount([...all, 'allow_other', ...options].join(','), source, at, fd);
  } catch (error) {
    await promisify(close)(fd);
    throw error;
  }
  return served(at, fd, handle);
}

/**
 * Goes on serving a mount whose process is gone. Takes over the descriptor.
 *
 * @param greeting sent to the kernel before its requests are served
 */
export async function resumeFuse(
  directory: string,
  fd: number,
  handle: FuseHandler,
  greeting: Uint8Array,
): Promise<FuseMount> {
  await answer(fd, [greeting]);
  return served(directory, fd, handle);
}

function served(at: string, fd: number, handle: FuseHandler): FuseMount {
  const serving = serve(fd, handle).finally(() => promisify(close)(fd));
  serving.catch(() => {});
  let isMounted = true;
  const unmount = async () => {
    if (!isMounted) return;
    isMounted = false;
    // Aborting loses what the kernel did not write yet, so it is for mounts still in use.
    // The path is not looked at: that would ask the very server that may not answer any more.
    const plain = ['--no-canonicalize', '--internal-only'];
    if ((await tool('umount', [...plain, '--', at])) !== '') {
      await tool('umount', [...plain, '--force', '--lazy', '--', at]);
    }
  };
  const end = async () => {
    await unmount();
    await serving;
  };
  return { directory: at, unmount, ended: serving, close: end, [Symbol.asyncDispose]: end };
}

async function openDevice(): Promise<number> {
  try {
    return await promisify(open)('/dev/fuse', 'r+');
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') throw hostError(cause, 'open /dev/fuse');
    throw new HostError('HOST_NO_TOOL', 'Cannot open /dev/fuse: the kernel has no FUSE', {
      cause,
      hint: 'Load the module: modprobe fuse.',
    });
  }
}

async function mount(
  options: string,
  source: string,
  directory: string,
  fd: number,
): Promise<void> {
  const problem = await tool('mount', ['-i', '-t', 'fuse', '-o', options, source, directory], fd);
  if (problem === '') return;
  throw new HostError('HOST_IO', `Cannot mount on ${directory}: ${problem}`);
}

/** Runs a program, with `fd` as its descriptor 3, and returns what it complains of: '' if nothing. */
function tool(program: string, args: readonly string[], fd?: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const stdio = ['ignore', 'ignore', 'pipe', ...(fd === undefined ? [] : [fd])] as const;
  const child = spawn(program, args, { stdio: [...stdio] });
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  child.on('error', (error) => reject(hostError(error, `run ${program}`)));
  child.on('close', (code) => resolve(code === 0 ? '' : complaint.trim() || `exit code ${code}`));
  return promise;
}

/** Reads and answers requests, one after the other, until the file system is unmounted. */
async function serve(fd: number, handle: FuseHandler): Promise<void> {
  let buffer = new Uint8Array(BUFFER);
  for (;;) {
    const length = await nextRequest(fd, buffer);
    if (length === undefined) return;
    const reply = handle(buffer.subarray(0, length));
    if (isPromise(reply)) {
      // The request is read until it is answered; others must not wait for it.
      buffer = new Uint8Array(BUFFER);
      reply.then((chunks) => answer(fd, chunks)).catch(() => {});
    } else {
      await answer(fd, reply);
    }
  }
}

async function nextRequest(fd: number, buffer: Uint8Array): Promise<number | undefined> {
  for (;;) {
    try {
      return (await readDevice(fd, buffer, 0, buffer.length, null)).bytesRead;
    } catch (error) {
      const code = systemCode(error);
      if (code === UNMOUNTED) return undefined;
      if (!interrupted.has(code)) throw hostError(error, 'read a request from /dev/fuse');
    }
  }
}

async function answer(fd: number, chunks: readonly Uint8Array[]): Promise<void> {
  if (chunks.length === 0) return;
  try {
    await writeDevice(fd, [...chunks]);
  } catch (error) {
    const code = systemCode(error);
    if (code !== GIVEN_UP && code !== UNMOUNTED) throw hostError(error, 'answer through /dev/fuse');
  }
}
