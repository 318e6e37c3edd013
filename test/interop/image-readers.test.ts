import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hostTree } from '@anole/host';
import { describeDifferences } from '@anole/vfs';
import { umociImage } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs, run, temporary } from '../../packages/oci/src/testing/tools.ts';
import { anoleIn, succeed } from '../system/anole-image.ts';

const skip = needs('docker-registry', 'umoci', 'root');

/** What each reader is to make of the images that we push: the files of this directory. */
describe('images that we push', { skip }, () => {
  let directory: string;
  let clean = () => {};
  const at = (name: string) => join(directory, name);
  before(() => {
    directory = temporary({ after: (work) => (clean = work) });
    umociImage(directory);
    run('umoci', 'unpack', '--image', `${at('umoci')}:made`, at('judge'));
  });
  after(() => clean());

  /** The image as it is, with a variant beside it, bound to its index, and with another layer. */
  function push(host: string): readonly string[] {
    const anole = anoleIn(directory);
    const name = (tag: string) => `docker://${host}/team/web:${tag}`;
    const from = `oci:${at('umoci')}:made`;
    const insecure = '--insecure';
    succeed(anole(['copy', from, name('plain'), insecure]));
    succeed(anole(['convert', from, name('erofs'), insecure]));
    succeed(anole(['index', from, '--bind', name('soci'), '--min-layer', '0', insecure]));
    mkdirSync(at('nothing'), { recursive: true });
    succeed(anole(['append', from, at('nothing'), '-t', name('more'), insecure]));
    return ['plain', 'erofs', 'soci', 'more'].map((tag) => name(tag).slice('docker://'.length));
  }

  async function expectSame(path: string): Promise<void> {
    using theirs = hostTree(path, { xattrs: true });
    using judge = hostTree(at('judge/rootfs'), { xattrs: true });
    // Directories that a whiteout was obeyed in have the time of that.
    assert.equal(await describeDifferences(theirs, judge, { ignore: ['mtime'] }), '');
  }

  it('are read by containerd', { skip: needs('containerd', 'ctr') }, async (test) => {
    const host = await startRegistry(test);
    const ctr = await startContainerd(test, at('containerd'));
    for (const [number, name] of push(host).entries()) {
      const options = ['--plain-http', '--snapshotter', 'native', '--platform', 'linux/amd64'];
      ctr('image', 'pull', ...options, name);
      const goal = at(`mounted-${number}`);
      mkdirSync(goal);
      ctr('image', 'mount', '--snapshotter', 'native', '--platform', 'linux/amd64', name, goal);
      test.after(() => void run('umount', goal));
      await expectSame(goal);
    }
  });

  it('are read by podman', { skip: needs('podman') }, async (test) => {
    const host = await startRegistry(test);
    const own = ['--root', at('podman'), '--runroot', at('podman-run')];
    const podman = (...args: string[]) =>
      run('podman', ...own, '--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', ...args);
    test.after(() => void podman('rmi', '--all', '--force'));
    for (const name of push(host)) {
      podman('pull', '--quiet', '--tls-verify=false', name);
      const [facts] = JSON.parse(podman('image', 'inspect', name));
      assert.ok(facts.Config.Env.includes('GREETING=hello'));
      await expectSame(podman('image', 'mount', name).trim());
      podman('image', 'unmount', name);
    }
    const anole = anoleIn(directory);
    const archive = at('web.tar');
    succeed(anole(['copy', `oci:${at('umoci')}:made`, `docker-archive:${archive}:web:1`]));
    assert.match(podman('load', '--input', archive), /web:1/);
    await expectSame(podman('image', 'mount', 'localhost/web:1').trim());
  });
});

/** Debian's containerd with a place of its own, for as long as the test runs; gives its `ctr`. */
async function startContainerd(
  test: TestContext,
  directory: string,
): Promise<(...args: string[]) => string> {
  mkdirSync(directory);
  const at = (name: string) => join(directory, name);
  // JSON's texts and lists are TOML's.
  const text = JSON.stringify;
  writeFileSync(
    at('config.toml'),
    `version = 2
root = ${text(at('root'))}
state = ${text(at('state'))}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = ${text(at('socket'))}
[ttrpc]
address = ${text(at('socket.ttrpc'))}
`,
  );
  const child = spawn('containerd', ['--config', at('config.toml')], { stdio: 'ignore' });
  const ended = once(child, 'close');
  test.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  for (let attempt = 0; !existsSync(at('socket')); attempt++) {
    assert.ok(attempt < 600 && child.exitCode === null, 'containerd does not start');
    await sleep(50);
  }
  return (...args) => run('ctr', '--address', at('socket'), ...args);
}
