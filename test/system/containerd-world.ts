// A containerd of Debian's, with our snapshotter and a registry, for tests.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MemoryTree } from '@anole/vfs';
import { run as tool, until } from '../../packages/oci/src/testing/tools.ts';
import { anoleProgram } from './anole-program.ts';
import { endProcess, environmentOf, mountsBelow } from './left-over.ts';
import { type Ran, runApart } from './ran.ts';

export class ContainerdWorld {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly #children = new Set<ChildProcess>();

  constructor(test: TestContext) {
    this.directory = mkdtempSync(join(tmpdir(), 'anole-ctrd-'));
    this.environment = {
      ...process.env,
      HOME: this.directory,
      ANOLE_CACHE: this.at('cache'),
      XDG_RUNTIME_DIR: this.directory,
    };
    test.after(() => this.#end());
  }

  at(...names: readonly string[]): string {
    return join(this.directory, ...names);
  }

  /** Of `ctr`: its words before image, name and command. */
  get runFlags(): readonly string[] {
    return ['run', '--runc-root', this.at('runc'), '--snapshotter', 'anole'];
  }

  run(program: string, ...args: readonly string[]): Promise<Ran> {
    return runApart(program, args, { env: this.environment, cwd: this.directory });
  }

  anole(...args: readonly string[]): Promise<Ran> {
    return this.run(process.execPath, anoleProgram, ...args);
  }

  /** What `anole` prints; the test fails where it fails. */
  async anoleOk(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.anole(...args);
    const command = `anole ${args.join(' ')}`;
    assert.equal(status, 0, `${command}: ${stderr}\n${this.log('snapshotter')}`);
    return stdout;
  }

  ctr(...args: readonly string[]): Promise<Ran> {
    return this.run('ctr', '--address', this.at('containerd.sock'), ...args);
  }

  /** What `ctr` prints; the test fails where it fails. */
  async ctrOk(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.ctr(...args);
    assert.equal(status, 0, `ctr ${args.join(' ')}: ${stderr}\n${this.log('snapshotter')}`);
    return stdout;
  }

  /** Starts the snapshotter, and returns when it listens. */
  async startSnapshotter(): Promise<ChildProcess> {
    const places = ['--socket', this.at('snapshotter.sock'), '--root', this.at('snapshots')];
    const argv = [anoleProgram, 'containerd', 'serve', ...places];
    const before = this.log('snapshotter').split('"ready"').length;
    const child = this.#start('snapshotter', process.execPath, argv);
    await this.#until(child, () => this.log('snapshotter').split('"ready"').length > before);
    return child;
  }

  /** @param sandboxImage what holds pods */
  async startContainerd(sandboxImage: string): Promise<ChildProcess> {
    writeFileSync(
      this.at('containerd.toml'),
      `version = 2
root = "${this.at('containerd')}"
state = "${this.at('state')}"
[grpc]
  address = "${this.at('containerd.sock')}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${this.at('opt')}"
[proxy_plugins.anole]
  type = "snapshot"
  address = "${this.at('snapshotter.sock')}"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_port = "0"
  restrict_oom_score_adj = true
  sandbox_image = "${sandboxImage}"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "anole"
  disable_snapshot_annotations = false
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "${this.at('runc')}"
`,
    );
    const child = this.#start('containerd', 'containerd', ['-c', this.at('containerd.toml')]);
    await this.#until(child, async () => (await this.ctr('version')).status === 0);
    return child;
  }

  log(name: 'snapshotter' | 'containerd'): string {
    try {
      return readFileSync(this.at(`${name}.log`), 'utf8');
    } catch {
      return '';
    }
  }

  /** Processes whose command line has a word, and that belong to this world. */
  pids(word: string): readonly number[] {
    return spawnSync('pgrep', ['-f', word], { encoding: 'utf8' })
      .stdout.split('\n')
      .map(Number)
      .filter((pid) => pid > 0 && environmentOf(pid).includes(this.directory));
  }

  #start(name: string, program: string, args: readonly string[]): ChildProcess {
    const log = openSync(this.at(`${name}.log`), 'a');
    const child = spawn(program, args, { env: this.environment, stdio: ['ignore', log, log] });
    this.#children.add(child);
    return child;
  }

  async #until(child: ChildProcess, isThere: () => boolean | Promise<boolean>): Promise<void> {
    await until('it has started', async () => {
      const state = `${this.log('containerd')}\n${this.log('snapshotter')}`;
      assert.equal(child.exitCode, null, `it does not start: ${state}`);
      return await isThere();
    });
  }

  /** Until none is left, also of those that others start again. */
  #killAll(word: string): Promise<void> {
    return until(`no ${word} is left`, () => {
      const left = this.pids(word);
      for (const pid of left) endProcess(pid);
      return left.length === 0;
    });
  }

  async #end(): Promise<void> {
    await Promise.all([...this.#children].map(killed));
    await this.#killAll('containerd-shim');
    for (const namespace of ['default', 'k8s.io']) {
      const runc = ['--root', this.at('runc', namespace)];
      const left = spawnSync('runc', [...runc, 'list', '--quiet'], { encoding: 'utf8' }).stdout;
      for (const id of left.split('\n').filter(Boolean)) {
        spawnSync('runc', [...runc, 'delete', '--force', id]);
      }
    }
    await this.#killAll('image serve');
    for (const point of mountsBelow(this.directory).toReversed()) {
      spawnSync('umount', ['--lazy', point]);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function killed(child: ChildProcess): Promise<void> {
  const isRunning = child.exitCode === null && child.signalCode === null;
  const ended = isRunning && once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** A tree with programs of this computer, and the libraries that they need. */
export function treeWithPrograms(...programs: readonly string[]): MemoryTree {
  const tree = new MemoryTree();
  const paths = programs.map((name) => tool('sh', '-c', `command -v ${name}`).trim());
  const libraries = paths.flatMap((path) => {
    const found = spawnSync('ldd', [path], { encoding: 'utf8' }).stdout.matchAll(/(\/\S+) \(0x/g);
    return [...found].map(([, library]) => library!);
  });
  for (const path of new Set([...paths, ...libraries])) {
    tree.putFile(path.slice(1), new Uint8Array(readFileSync(path)), { mode: 0o755 });
  }
  return tree;
}
