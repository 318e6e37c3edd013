import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { hostTree } from '@anole/host';
import { compareTrees, type Difference, renderDifference } from '@anole/vfs';
import { umociImage } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs, run, temporary } from '../../packages/oci/src/testing/tools.ts';
import { anoleIn, succeed } from '../system/anole-image.ts';
import { startContainerd } from './containerd.ts';

const skip = needs('docker-registry', 'umoci', 'root');

/** Those that eStargz adds. */
const ownFiles = new Set(['stargz.index.json', '.no.prefetch.landmark']);

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

  /** The image as it is, with a variant beside it, bound to its index, with another layer, and in layers of parts. */
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
    succeed(anole(['convert', from, name('esgz'), '--format', 'estargz', insecure]));
    succeed(anole(['convert', from, name('zstd'), '--format', 'zstd:chunked', insecure]));
    return ['plain', 'erofs', 'soci', 'more', 'esgz', 'zstd'].map((tag) =>
      name(tag).slice('docker://'.length),
    );
  }

  async function expectSame(path: string, isKnown = (_: Difference) => false): Promise<void> {
    using theirs = hostTree(path, { xattrs: true });
    using judge = hostTree(at('judge/rootfs'), { xattrs: true });
    const filter = (name: string) => !ownFiles.has(name);
    // Directories that a whiteout was obeyed in have the time of that.
    const differences = compareTrees(theirs, judge, { ignore: ['mtime'], filter });
    for await (const difference of differences) {
      assert.ok(isKnown(difference), renderDifference(difference));
    }
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

  it('as eStargz are read by umoci', () => {
    const anole = anoleIn(directory);
    const from = `oci:${at('umoci')}:made`;
    succeed(anole(['convert', from, `oci:${at('chunked')}:1`, '--format', 'estargz']));
    const { image } = JSON.parse(succeed(anole(['inspect', `oci:${at('chunked')}:1`, '--json'])));
    const tables = image.layers.map(({ table }: { table: string | null }) => table);
    assert.deepEqual(tables, ['estargz', 'estargz', 'estargz']);
    run('umoci', 'unpack', '--image', `${at('chunked')}:1`, at('chunked-bundle'));
    return expectSame(at('chunked-bundle/rootfs'));
  });

  it('are fetched in part by podman', { skip: needs('podman') }, async (test) => {
    const host = await startRegistry(test);
    const anole = anoleIn(directory);
    for (const format of ['estargz', 'zstd:chunked']) {
      // A store for each: podman 4.3 takes files from other images, and a layer whole where one is not there.
      const store = `partial-${format.slice(0, 4)}`;
      const settings = {
        driver: 'overlay',
        graphroot: at(store),
        runroot: at(`${store}-run`),
        options: { pull_options: { enable_partial_images: 'true' } },
      };
      const podman = podmanWith(at(`${store}.conf`), settings);
      if (podman('info').status !== 0) return test.skip('podman cannot use overlayfs here');
      test.after(() => void podman('rmi', '--all', '--force'));
      const name = `${host}/team/partial:${format.slice(0, 4)}`;
      const from = `oci:${at('umoci')}:made`;
      succeed(anole(['convert', from, `docker://${name}`, '--format', format, '--insecure']));
      const pulled = podman('--log-level', 'debug', 'pull', '--tls-verify=false', name);
      assert.equal(pulled.status, 0, pulled.stderr);
      // Of each layer it takes the table, and the files by ranges, which it verifies.
      assert.equal(pulled.stderr.match(/Retrieved partial blob/g)?.length, 3, pulled.stderr);
      const mounted = podman('image', 'mount', name);
      assert.equal(mounted.status, 0, mounted.stderr);
      // Of layers in part podman 4.3 takes no pipes, nor the mode of the root: of those that it wrote itself, too.
      await expectSame(mounted.stdout.trim(), ({ path }) => path === '' || path === 'srv/pipe');
      podman('image', 'unmount', name);
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

/** podman with a store of its own. */
function podmanWith(file: string, { options, ...storage }: { readonly options: object }) {
  const line = (values: object) =>
    Object.entries(values).map(([key, value]) => `${key} = ${toml(value)}`);
  const text = ['[storage]', ...line(storage), '[storage.options]', ...line(options), ''];
  writeFileSync(file, text.join('\n'));
  const env = { ...process.env, CONTAINERS_STORAGE_CONF: file };
  return (...args: string[]) =>
    spawnSync('podman', ['--cgroup-manager', 'cgroupfs', ...args], { env, encoding: 'utf8' });
}

function toml(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, each]) => `${key} = ${JSON.stringify(each)}`);
  return `{ ${fields.join(', ')} }`;
}
