import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceStatus } from '@anole/nydus/service';

const command = join(import.meta.dirname, '../packages/cli/bin/anole.js');

/** A service of images of its own, and a place to mount one. */
export class ImageMounts implements AsyncDisposable {
  readonly point: string;
  readonly #directory: string;
  #stop: (() => Promise<void>) | undefined;
  #keeper: number | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.point = join(directory, 'mounted');
  }

  get #environment() {
    const { HOME, PATH } = process.env;
    const directory = this.#directory;
    return { HOME, PATH, ANOLE_CACHE: join(directory, 'cache'), XDG_RUNTIME_DIR: directory };
  }

  /** Starts it anew, with an empty cache. */
  async start(...flags: readonly string[]): Promise<void> {
    await this.#stop?.();
    rmSync(join(this.#directory, 'cache'), { recursive: true, force: true });
    await this.restart(...flags);
  }

  /** Starts it anew, with the cache that it has. */
  async restart(...flags: readonly string[]): Promise<void> {
    await this.#stop?.();
    mkdirSync(this.point, { recursive: true });
    const env = this.#environment;
    const args = [command, 'image', 'serve', '--quiet', ...flags];
    const child = spawn(process.execPath, args, { env, stdio: 'ignore' });
    const ended = once(child, 'close');
    this.#keeper = child.pid;
    this.#stop = async () => {
      child.kill('SIGTERM');
      await ended;
    };
    // Commands start a service where there is none: that would be another one, and its start would count.
    const socket = join(this.#directory, 'anole/images.sock');
    while (!existsSync(socket)) {
      if (child.exitCode !== null) throw new Error('the service of images does not start');
      await sleep(20);
    }
  }

  async mount(
    image: string,
    platform: string,
    { kind = 'kernel', point = this.point }: { kind?: 'kernel' | 'fuse'; point?: string } = {},
  ): Promise<void> {
    mkdirSync(point, { recursive: true });
    const flags = ['--kind', kind, '--platform', platform];
    const args = [command, 'image', 'mount', ...flags, image, point];
    await finish(process.execPath, args, this.#environment);
  }

  async unmount(): Promise<void> {
    await finish(process.execPath, [command, 'image', 'umount', this.point], this.#environment);
  }

  /** Times that the kernel opened files of the mount that it reads by itself. */
  readonly passedOpens = async (): Promise<number> => {
    const socketPath = join(this.#directory, 'anole/images.sock');
    const [answer] = (await once(
      request({ socketPath, path: '/v1/mounts' }).end(),
      'response',
    )) as [IncomingMessage];
    const [mount] = ((await json(answer)) as Pick<ServiceStatus, 'mounts'>).mounts;
    if (mount?.passthrough?.isOn !== true) throw new Error(mount?.passthrough?.why ?? 'no mount');
    return mount.passthrough.opens;
  };

  /** Files of blobs in the cache, as large as those, with holes; those of their hashes are left out. */
  blobs(): string[] {
    const all = join(this.#directory, 'cache/blobs/blobs');
    return readdirSync(all)
      .filter((name) => !readFileSync(join(all, name, 'id'), 'utf8').endsWith(' hashes'))
      .map((name) => join(all, name, 'data'));
  }

  /** Decoded files in the cache. */
  wholes(): string[] {
    const all = join(this.#directory, 'cache/blobs/whole-2/content');
    return existsSync(all) ? readdirSync(all).map((name) => join(all, name)) : [];
  }

  /** Memory of the service, of its keeper, and of whoever else is of them, in bytes: what is shared in parts. */
  memory(): { service: number; all: number } {
    const [service, ...others] = childrenOf(this.#keeper!);
    const rest = [this.#keeper!, ...others].map(memoryOf);
    const own = memoryOf(service!);
    return { service: own, all: own + rest.reduce((sum, each) => sum + each, 0) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop?.();
  }
}

function childrenOf(process: number): number[] {
  const text = readFileSync(`/proc/${process}/task/${process}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** Source: Linux Documentation/filesystems/proc.rst, smaps_rollup. */
function memoryOf(process: number): number {
  const [, kilobytes] = /^Pss:\s+(\d+) kB/m.exec(
    readFileSync(`/proc/${process}/smaps_rollup`, 'utf8'),
  )!;
  return 1024 * Number(kilobytes);
}

/** Runs a command of anole to its end. */
export function anole(...args: readonly string[]): Promise<void> {
  return finish(process.execPath, [command, ...args, ...(args.includes('--') ? [] : ['--quiet'])]);
}

/** Program and arguments that run others in a root file system, with its processes to be seen. */
export function inRoot(root: string, argv: readonly string[]): [string, ...string[]] {
  const script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';
  return ['unshare', '--mount', 'sh', '-c', script, root, ...argv];
}

/** Runs a program of a root file system until its first output. */
export async function output(root: string, argv: readonly string[]): Promise<void> {
  const [program, ...args] = inRoot(root, argv);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [first] = (await once(child.stdout, 'data')) as [Buffer];
  await once(child, 'close');
  if (!first.toString().startsWith('42')) throw new Error(`another output: ${first}`);
}

/** Runs a program to its end, while this process goes on. */
export async function finish(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code}`);
}
