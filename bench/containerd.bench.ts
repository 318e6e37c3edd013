import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Report } from './harness.ts';
import { type LazyImage, lazyImages, prepareImage } from './lazy-images.ts';
import { hasProgram } from './programs.ts';
import { registry } from './registry.ts';
import { slowLink } from './slow-link.ts';

const anole = join(import.meta.dirname, '../packages/cli/bin/anole.js');
const LINK = { bits: 100e6, delay: 10 };

/**
 * Pull and run by containerd behind a slow link: layers on demand, as converted and as traced, beside overlayfs.
 * `--only=NAME` and `--images=DIRECTORY` as in `lazy`.
 */
export default async function containerd(report: Report): Promise<void> {
  const missing = ['containerd', 'ctr', 'runc', 'docker-registry'].filter((it) => !hasProgram(it));
  if (missing.length > 0 || process.geteuid?.() !== 0 || process.arch !== 'x64') {
    return report.skip('images', `needs root, x64 and ${missing.join(', ') || 'nothing else'}`);
  }
  await using resources = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'anole-bench-'));
  resources.defer(() => rmSync(directory, { recursive: true, force: true }));
  const images = resolve(report.option('images') ?? directory);
  mkdirSync(images, { recursive: true });
  const { host, port } = resources.use(await registry(images, 'registry'));
  report.note(`a link of ${LINK.bits / 1e6} Mbit/s and ${2 * LINK.delay} ms there and back`);
  const only = report.option('only') ?? (report.full ? undefined : 'python');
  for (const image of lazyImages) {
    if (only !== undefined && only !== image.name) continue;
    await prepareImage(image, images, host, directory);
    await compare(report, directory, port, image, 'lazy', 0.15);
    await compare(report, directory, port, image, 'fast', 0.1);
  }
}

async function compare(
  report: Report,
  directory: string,
  port: number,
  { name, argv }: LazyImage,
  tag: string,
  target: number,
): Promise<void> {
  await using link = await slowLink(port, LINK.bits, LINK.delay);
  await using place = new Place(join(directory, 'place'));
  const came = { ours: 0, peer: 0 };
  const counted = async (side: keyof typeof came, work: () => Promise<void>) => {
    const before = link.received();
    await work();
    came[side] = link.received() - before;
  };
  const { ratio } = await report.compare({
    name: `${name}, ${tag}: pull and run`,
    ours: {
      name: 'anole containerd pull, ctr run',
      before: () => place.startAnew(),
      run: () =>
        counted('ours', async () => {
          const image = `${link.host}/${name}:${tag}`;
          await place.anole('containerd', 'pull', '--address', place.at('containerd.sock'), image);
          await place.run('anole', image, argv);
        }).then(() => undefined),
    },
    peer: {
      name: 'ctr image pull (overlayfs), ctr run',
      before: () => place.startAnew(),
      run: () =>
        counted('peer', async () => {
          const image = `${link.host}/${name}:plain`;
          await place.ctr('image', 'pull', '--plain-http', image);
          await place.run('overlayfs', image, argv);
        }).then(() => undefined),
    },
    runs: report.full ? 3 : 1,
    target,
  });
  report.figure(`${name}, ${tag}: bytes that came on demand`, came.ours / 1e6, 'MB');
  report.figure(`${name}: bytes that came in all`, came.peer / 1e6, 'MB');
  report.figure(`${name}, ${tag}: of the time`, 100 * ratio, '%');
}

/** A containerd of its own, with a snapshotter and a service of images, all of which have nothing. */
class Place implements AsyncDisposable {
  readonly #directory: string;
  #children: ChildProcess[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  at(...names: readonly string[]): string {
    return join(this.#directory, ...names);
  }

  async startAnew(): Promise<void> {
    await this.#stop();
    mkdirSync(this.#directory, { recursive: true });
    writeFileSync(
      this.at('containerd.toml'),
      `version = 2
root = "${this.at('root')}"
state = "${this.at('state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "${this.at('containerd.sock')}"
[proxy_plugins.anole]
  type = "snapshot"
  address = "${this.at('snapshotter.sock')}"
`,
    );
    const [images, snapshots] = [this.at('images.sock'), this.at('snapshotter.sock')];
    const service = ['image', 'serve', '--socket', images, '--cache', this.at('blobs')];
    await this.#start([process.execPath, anole, ...service], images);
    const flags = ['--socket', snapshots, '--root', this.at('snapshots'), '--images', images];
    await this.#start([process.execPath, anole, 'containerd', 'serve', ...flags], snapshots);
    const config = this.at('containerd.toml');
    await this.#start(['containerd', '--config', config], this.at('containerd.sock'));
    while (spawnSync('ctr', ['--address', this.at('containerd.sock'), 'version']).status !== 0) {
      await sleep(20);
    }
  }

  anole(...args: readonly string[]): Promise<string> {
    return this.#output(process.execPath, [anole, ...args]);
  }

  ctr(...args: readonly string[]): Promise<string> {
    return this.#output('ctr', ['--address', this.at('containerd.sock'), ...args]);
  }

  /** Runs a program in a container. */
  async run(snapshotter: string, image: string, argv: readonly string[]): Promise<void> {
    const flags = ['--rm', '--runc-root', this.at('runc'), '--snapshotter', snapshotter];
    const said = await this.ctr('run', ...flags, image, 'bench', ...argv);
    if (!said.startsWith('42')) throw new Error(`another output: ${said}`);
  }

  async #start([program, ...args]: readonly [string, ...string[]], socket: string): Promise<void> {
    const env = { ...process.env, ANOLE_CACHE: this.at('cache') };
    const child = spawn(program, args, { env, stdio: 'ignore' });
    this.#children.push(child);
    while (!existsSync(socket)) {
      if (child.exitCode !== null) throw new Error(`${program} does not start`);
      await sleep(20);
    }
  }

  /** Runs a program to its end, while the link goes on in this process. */
  async #output(program: string, args: readonly string[]): Promise<string> {
    const env = { ...process.env, ANOLE_CACHE: this.at('cache') };
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    let complaint = '';
    child.stdout.on('data', (piece: Buffer) => {
      said += piece;
    });
    child.stderr.on('data', (piece: Buffer) => {
      complaint += piece;
    });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0)
      throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${complaint}`);
    return said;
  }

  async #stop(): Promise<void> {
    // The service last started first: what it mounts, it unmounts.
    for (const child of this.#children.splice(0).reverse()) {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'close');
      }
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop();
  }
}
