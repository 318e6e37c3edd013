import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Report } from './harness.ts';
import { hasProgram } from './programs.ts';
import { registry } from './registry.ts';
import { slowLink } from './slow-link.ts';

const anole = join(import.meta.dirname, '../packages/cli/bin/anole.js');
const MEGABIT = 1e6;
const LINK = { bits: 100 * MEGABIT, delay: 10 };

/** Recipes, and a program of each whose first output is waited for. */
const images = [
  { recipe: 'python', argv: ['python3', '-c', 'import json, email.parser; print(6 * 7)'] },
  { recipe: 'gcc', argv: ['sh', '-c', 'echo "int x;" | gcc -x c -S -o /dev/null - && echo 42'] },
] as const;

/** The first output of programs whose image is behind a slow link, beside pulling and unpacking it. */
export default async function lazy(report: Report): Promise<void> {
  const tools = ['docker-registry', 'skopeo', 'umoci'].filter((tool) => !hasProgram(tool));
  if (tools.length > 0 || process.geteuid?.() !== 0 || process.arch !== 'x64') {
    return report.skip('images', `needs root, x64 and ${tools.join(', ') || 'nothing else'}`);
  }
  await using resources = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'anole-bench-'));
  resources.defer(() => rmSync(directory, { recursive: true, force: true }));
  const { host, port } = resources.use(await registry(directory));
  report.note(`a link of ${LINK.bits / MEGABIT} Mbit/s and ${2 * LINK.delay} ms there and back`);
  for (const image of images) await compare(report, directory, host, port, image);
}

async function compare(
  report: Report,
  directory: string,
  host: string,
  port: number,
  { recipe, argv }: (typeof images)[number],
): Promise<void> {
  const at = (name: string) => join(directory, name);
  const run = (...args: string[]) =>
    void execFileSync(process.execPath, [anole, ...args], { stdio: 'ignore' });
  const plain = `docker://${host}/${recipe}:plain`;
  run('os', 'build', recipe, '--arch', 'amd64', '--format', 'oci', '-o', at(`${recipe}.oci`));
  run('image', 'copy', `oci:${at(`${recipe}.oci`)}`, plain);
  run('image', 'convert', plain, `docker://${host}/${recipe}:lazy`, '-z', 'lz4hc');
  await using link = await slowLink(port, LINK.bits, LINK.delay);
  let came = 0;
  await using service = new Service(directory);
  const { ratio } = await report.compare({
    name: `${recipe}: reference to first output`,
    ours: {
      name: 'mounted on demand',
      before: () => service.start(),
      async run() {
        const before = link.received();
        const point = at('mounted');
        await service.mount(`docker://${link.host}/${recipe}:lazy`, point);
        await output(point, argv);
        came = link.received() - before;
      },
    },
    peer: {
      name: 'skopeo, umoci and chroot',
      before() {
        for (const name of ['copied', 'unpacked']) {
          rmSync(at(name), { recursive: true, force: true });
        }
      },
      async run() {
        const copied = at('copied');
        const from = `docker://${link.host}/${recipe}:plain`;
        await finish('skopeo', ['copy', '--src-tls-verify=false', from, `oci:${copied}:it`]);
        await finish('umoci', ['unpack', '--image', `${copied}:it`, at('unpacked')]);
        await output(join(at('unpacked'), 'rootfs'), argv);
      },
    },
    runs: 3,
    target: 0.15,
  });
  report.figure(`${recipe}: bytes that came`, came / 1e6, 'MB');
  report.figure(`${recipe}: of the time`, 100 * ratio, '%');
}

/** A service of images of its own, with an empty cache. */
class Service implements AsyncDisposable {
  readonly #directory: string;
  #stop: (() => Promise<void>) | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get #environment() {
    const { HOME } = process.env;
    return {
      HOME,
      PATH: process.env['PATH'],
      ANOLE_CACHE: join(this.#directory, 'cache'),
      XDG_RUNTIME_DIR: this.#directory,
    };
  }

  async start(): Promise<void> {
    await this.#stop?.();
    rmSync(join(this.#directory, 'cache'), { recursive: true, force: true });
    mkdirSync(join(this.#directory, 'mounted'), { recursive: true });
    const env = this.#environment;
    const child = spawn(process.execPath, [anole, 'image', 'serve', '--quiet'], {
      env,
      stdio: 'ignore',
    });
    const ended = once(child, 'close');
    this.#stop = async () => {
      child.kill('SIGTERM');
      await ended;
    };
    const ask = [anole, 'image', 'mounts'];
    while (spawnSync(process.execPath, ask, { env }).status !== 0) await sleep(50);
  }

  async mount(image: string, point: string): Promise<void> {
    const args = [anole, 'image', 'mount', '--platform', 'linux/amd64', image, point];
    await finish(process.execPath, args, this.#environment);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop?.();
  }
}

/** Runs a program of a root file system until its first output. */
async function output(root: string, argv: readonly string[]): Promise<void> {
  const child = spawn('chroot', [root, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [first] = (await once(child.stdout, 'data')) as [Buffer];
  await once(child, 'close');
  if (!first.toString().startsWith('42')) throw new Error(`another output: ${first}`);
}

/** Runs a program to its end, while the link goes on in this process. */
async function finish(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code}`);
}
