import { spawn } from 'node:child_process';
import { close, open, writevSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Awaitable, isPromise } from '@anole/bytes';
import { HostError, hostError, systemCode } from './errors.ts';
import { FuseRequests, MAX_WRITE, UNMOUNTED } from './fuse-requests.ts';

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
  /** Told that nobody has the mount any more, before its descriptor is closed. */
  readonly onEnd?: () => void;
  /** Bytes that one WRITE has at most, as the server says in INIT. Default 1 MiB. */
  readonly maxWrite?: number;
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

/** Milliseconds for which requests are served in one go. */
const STRETCH = 2;
/** The request was given up before its reply came; the mount lives on. */
const GIVEN_UP = 'ENOENT';

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
  { source = 'anole', options = [], onDescriptor, ...serving }: FuseMountOptions = {},
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
  return served(at, fd, handle, serving);
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
  options: Serving = {},
): Promise<FuseMount> {
  answer(fd, [greeting]);
  return served(directory, fd, handle, options);
}

type Serving = Pick<FuseMountOptions, 'maxWrite' | 'onEnd'>;

function served(
  at: string,
  fd: number,
  handle: FuseHandler,
  { maxWrite = MAX_WRITE, onEnd }: Serving,
): FuseMount {
  const device = { fd, isOpen: true };
  const serving = serve(device, maxWrite, handle).finally(() => {
    device.isOpen = false;
    onEnd?.();
    return promisify(close)(fd);
  });
  let isMounted = true;
  // By then somebody else may have mounted something there.
  const gone = () => {
    isMounted = false;
  };
  serving.then(gone, () => {});
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

/** A descriptor, whose number is another file's once it is closed. */
interface Device {
  readonly fd: number;
  readonly isOpen: boolean;
}

/** Reads and answers requests until the file system is unmounted. */
async function serve(device: Device, maxWrite: number, handle: FuseHandler): Promise<void> {
  const { fd } = device;
  const answerLate = (chunks: readonly Uint8Array[]) => {
    if (device.isOpen) answer(fd, chunks);
  };
  const requests = new FuseRequests(fd, maxWrite);
  let turned = performance.now();
  for (;;) {
    const coming = requests.next();
    const isThere = !isPromise(coming);
    const request = isThere ? coming : await coming;
    if (request === undefined) return;
    const reply = handle(request);
    if (isPromise(reply)) reply.then(answerLate).catch(() => {});
    else answer(fd, reply);
    requests.free(request, isPromise(reply));
    // Where the next one is always there, nothing else would have its turn, such as what a reply waits for.
    const now = performance.now();
    if (!isThere) turned = now;
    else if (isPromise(reply) || now - turned > STRETCH) {
      await turn();
      turned = performance.now();
    }
  }
}

/** At once: the kernel takes an answer without waiting, and sooner than another thread could begin. */
function answer(fd: number, chunks: readonly Uint8Array[]): void {
  if (chunks.length === 0) return;
  try {
    writevSync(fd, [...chunks]);
  } catch (error) {
    const code = systemCode(error);
    if (code !== GIVEN_UP && code !== UNMOUNTED) throw hostError(error, 'answer through /dev/fuse');
  }
}
