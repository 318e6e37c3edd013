import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MemoryTree } from '@anole/vfs';
import { RawLayout, tarOf } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs, until } from '../../packages/oci/src/testing/tools.ts';
import { ContainerdWorld, treeWithPrograms } from './containerd-world.ts';
import { Kubelet } from './cri.ts';
import { endProcess, mountsBelow } from './left-over.ts';

const SIZE = 2_000_000;
const contentOf = (file: number) =>
  createHash('shake256', { outputLength: SIZE }).update(`file ${file}`).digest();
const hashOf = (file: number) => createHash('sha256').update(contentOf(file)).digest('hex');
const textOf = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
const bytes = (text: string) => new TextEncoder().encode(text);

/** A registry that can be ended before the test is. */
async function registryThatEnds(context: TestContext) {
  const ends: (() => void | Promise<void>)[] = [];
  const endRegistry = async () => {
    for (const end of ends.splice(0)) await end();
  };
  context.after(endRegistry);
  const registry = await startRegistry({ after: (end) => void ends.push(end) });
  return { registry, endRegistry };
}

/** An image of three layers with its variant beside it, and others without; a snapshotter for them. */
async function setUp(context: TestContext) {
  const world = new ContainerdWorld(context);
  const { registry, endRegistry } = await registryThatEnds(context);
  const raw = new RawLayout(world.at('layout'));
  const base = treeWithPrograms('sh', 'cat', 'sha256sum', 'ls', 'sleep');
  base.putFile('etc/old', bytes('old\n'));
  const middle = new MemoryTree();
  for (let file = 0; file < 4; file++) {
    middle.putFile(`data-${file}`, contentOf(file), { mode: 0o640, uid: 7 });
  }
  middle.putFile('etc/.wh.old', new Uint8Array(0));
  const top = new MemoryTree();
  top.putFile('etc/new', bytes('new\n'));
  const other = new MemoryTree();
  other.putFile('etc/other', bytes('other\n'));
  const tars = await Promise.all([base, middle, top, other].map(tarOf));
  const platform = 'linux/amd64';
  const config = { Env: ['PATH=/usr/bin:/bin'] };
  const made = (...at: readonly number[]) =>
    raw.image({ platform, layers: at.map((each) => ({ tar: tars[each]! })), config });
  raw
    .name(made(0, 1, 2), 'made')
    .name(made(0, 1), 'below')
    .name(made(0, 1, 3), 'beside');
  const name = (tag: string) => `${registry}/${tag}:1`;
  // What holds a pod.
  const pause = { Env: config.Env, Entrypoint: ['sleep', '1000'] };
  const sleeper = [{ tar: await tarOf(treeWithPrograms('sleep')) }];
  raw.name(raw.image({ platform: 'linux/amd64', layers: sleeper, config: pause }), 'pause');
  for (const [tag, file] of [
    ['large', 9],
    ['other', 8],
    ['only', 7],
  ] as const) {
    const tree = treeWithPrograms('sh', 'sleep', 'sha256sum');
    tree.putFile('data', contentOf(file));
    const layers = [{ tar: await tarOf(tree) }];
    raw.name(raw.image({ platform: 'linux/amd64', layers }), tag);
  }
  const copied = ['below', 'beside', 'pause'].map((tag) =>
    world.anoleOk('image', 'copy', `oci:layout:${tag}`, `docker://${name(tag)}`),
  );
  const converted = ['made', 'large', 'other', 'only'].map((tag) => {
    const places = [`oci:layout:${tag}`, `docker://${name(tag)}`];
    const flags = ['-z', 'lz4', ...(tag === 'only' ? ['--only'] : [])];
    return world.anoleOk('image', 'convert', ...places, ...flags);
  });
  const stargz = ['oci:layout:made', `docker://${name('stargz')}`, '--format', 'estargz'];
  const chunked = world.anoleOk('image', 'convert', ...stargz);
  await Promise.all([...copied, ...converted, chunked]);
  const snapshotter = await world.startSnapshotter();
  await world.startContainerd(name('pause'));
  let runs = 0;
  const run = (image: string, script: string) =>
    world.ctrOk(...world.runFlags, '--rm', image, `run-${runs++}`, 'sh', '-c', script);
  /** What each layer became. */
  const pull = async (image: string) => {
    const address = ['--address', world.at('containerd.sock')];
    const out = await world.anoleOk('containerd', 'pull', ...address, '--json', image);
    return (JSON.parse(out) as { layers: string[] }).layers;
  };
  const stop = async (container: string) => {
    await world.ctrOk('task', 'kill', '--signal', 'KILL', container);
    const isOver = async () => /STOPPED/.test(await world.ctrOk('task', 'ls'));
    await until('the container has ended', isOver);
    await world.ctrOk('task', 'rm', container);
    await world.ctrOk('container', 'rm', container);
  };
  return { world, name, snapshotter, run, pull, stop, endRegistry };
}

const skip = needs('containerd', 'runc', 'docker-registry', 'root');

test('containerd with images on demand', { skip }, async (context) => {
  const { world, name, run, pull, stop, endRegistry, ...rest } = await setUp(context);
  let { snapshotter } = rest;
  const images = world.at('snapshots/images');

  await context.test('runs a container of which no layer was fetched', async () => {
    assert.deepEqual(await pull(name('made')), ['on demand', 'on demand', 'on demand']);
    assert.doesNotMatch(await world.ctrOk('content', 'ls'), /uncompressed/, 'no layer is there');
    const out = await run(
      name('made'),
      'sha256sum data-0; cat etc/new; ls etc; ls -ln data-0; echo mine > etc/mine; cat etc/mine',
    );
    assert.match(out, new RegExp(`^${hashOf(0)}  data-0\nnew\nnew\n-rw-r----- 1 7 0 ${SIZE} `));
    assert.match(out, /\nmine\n$/);
    assert.equal(mountsBelow(images).length, 1);
  });

  await context.test('says what has come of such an image', async () => {
    // Name, size and inodes of a snapshot a line; those of layers are called by their chain IDs.
    const usage = async () => {
      const out = await world.ctrOk('snapshot', '--snapshotter', 'anole', 'usage');
      return out.split('\n').flatMap((line) => {
        const [, size, unit, inodes] =
          /^sha256:\S+\s+([\d.]+) (B|KiB|MiB)\s+(\d+)\s*$/.exec(line) ?? [];
        const bytes = Number(size) * ({ KiB: 2 ** 10, MiB: 2 ** 20 }[unit ?? ''] ?? 1);
        return size === undefined ? [] : [{ bytes, inodes: Number(inodes) }];
      });
    };
    const [last, ...below] = (await usage()).toSorted((a, b) => b.bytes - a.bytes);
    assert.deepEqual(below, [
      { bytes: 0, inodes: 0 },
      { bytes: 0, inodes: 0 },
    ]);
    const [mount] = JSON.parse(await world.anoleOk('image', 'mounts', '--json'));
    assert.ok(last && mount.present > SIZE);
    assert.ok(Math.abs(last.bytes - mount.present) < 2 ** 20, `${last.bytes} of ${mount.present}`);
    assert.equal(last.inodes, 4);
  });

  await context.test('makes real what was promised where somebody stands on it', async () => {
    assert.deepEqual(await pull(name('below')), ['there', 'there']);
    const script = 'sha256sum data-1; ls -ln data-1; ls etc';
    const below = await run(name('below'), script);
    assert.match(below, new RegExp(`^${hashOf(1)}  data-1\n-rw-r----- 1 7 0 ${SIZE} .*\n$`));
    assert.deepEqual(await pull(name('beside')), ['there', 'there', 'fetched']);
    assert.match(await run(name('beside'), script), /\nother\n$/);
    assert.match(await run(name('made'), script), /\nnew\n$/);
  });

  await context.test('is an ordinary snapshotter to who knows nothing of it', async () => {
    const pause = name('pause');
    await world.ctrOk('image', 'pull', '--plain-http', '--snapshotter', 'anole', pause);
    await world.ctrOk(...world.runFlags, '--rm', pause, 'sleeper', 'sleep', '0');
    const usage = await world.ctrOk('snapshot', '--snapshotter', 'anole', 'usage');
    assert.match(usage, /MiB/, 'an ordinary layer takes room');
    await world.ctrOk('image', 'rm', '--sync', pause);
  });

  await context.test('runs an image that is there as its variant only', async () => {
    assert.deepEqual(await pull(name('only')), ['on demand']);
    assert.equal(await run(name('only'), 'sha256sum data'), `${hashOf(7)}  data\n`);
    await world.ctrOk('image', 'rm', '--sync', name('only'));
  });

  await context.test('runs an image whose layers have tables of contents', async () => {
    const stargz = name('stargz');
    assert.deepEqual(await pull(stargz), ['on demand', 'on demand', 'on demand']);
    const out = await run(stargz, 'sha256sum data-2; cat etc/new; ls etc');
    assert.match(out, new RegExp(`^${hashOf(2)}  data-2\nnew\nnew\n`));
    await world.ctrOk('image', 'rm', '--sync', stargz);
  });

  await context.test('runs a pod of Kubernetes (CRI) of which no layer was fetched', async () => {
    using kubelet = new Kubelet(world.at('containerd.sock'));
    const imageRef = await kubelet.pull(name('made'));
    assert.match(imageRef, /^sha256:/);
    const kubernetes = ['--namespace', 'k8s.io'];
    // Blobs of layers would be in this namespace, too.
    assert.doesNotMatch(await world.ctrOk(...kubernetes, 'content', 'ls'), /uncompressed/);
    const logs = world.at('logs');
    const pod = await kubelet.run(imageRef, ['sh', '-c', 'cat etc/new; sha256sum data-1'], logs);
    await until('it says all', () => textOf(join(logs, 'one.log')).includes('data-1'));
    const said = textOf(join(logs, 'one.log')).replace(/^\S+ stdout F /gm, '');
    assert.equal(said, `new\n${hashOf(1)}  data-1\n`);
    await kubelet.remove(pod);
  });

  await context.test('goes on when snapshotter and service are killed', async () => {
    const script = 'sleep 1000';
    const list = ['snapshot', '--snapshotter', 'anole', 'usage'];
    await world.ctrOk(...world.runFlags, '--detach', name('made'), 'lasting', 'sh', '-c', script);
    snapshotter.kill('SIGKILL');
    for (const pid of world.pids('image serve --kept')) endProcess(pid);
    const inside = ['task', 'exec', '--exec-id', 'again', 'lasting', 'sha256sum', 'data-2'];
    assert.equal(await world.ctrOk(...inside), `${hashOf(2)}  data-2\n`);
    snapshotter = await world.startSnapshotter();
    // containerd calls again when it has waited a while.
    const isFound = async () => (await world.ctr(...list)).status === 0;
    await until('containerd finds the snapshotter again', isFound);
    assert.equal((await run(name('made'), 'sha256sum data-3')).slice(0, 64), hashOf(3));
    await stop('lasting');
  });

  await context.test('has all of an image that is in use when the service ends', async () => {
    // Other bytes than those that came: of another image.
    assert.deepEqual(await pull(name('large')), ['on demand']);
    await world.ctrOk(...world.runFlags, '--detach', name('large'), 'lasting', 'sleep', '1000');
    for (const pid of world.pids('image serve --quiet')) endProcess(pid, 'SIGTERM');
    await until('the service has ended', () => world.pids('image serve').length === 0);
    assert.equal(mountsBelow(images).length, 0);
    const inside = ['task', 'exec', '--exec-id', 'again', 'lasting', 'sha256sum', 'data'];
    assert.equal(await world.ctrOk(...inside), `${hashOf(9)}  data\n`);
    await stop('lasting');
  });

  await context.test('fills an image on that is unmounted below a container', async () => {
    assert.deepEqual(await pull(name('other')), ['on demand']);
    await world.ctrOk(...world.runFlags, '--detach', name('other'), 'lasting', 'sleep', '1000');
    for (const point of mountsBelow(images)) await world.anoleOk('image', 'umount', point);
    assert.equal(mountsBelow(images).length, 0);
    for (const pid of world.pids('image serve --kept')) endProcess(pid);
    const inside = ['task', 'exec', '--exec-id', 'again', 'lasting', 'sha256sum', 'data'];
    assert.equal(await world.ctrOk(...inside), `${hashOf(8)}  data\n`);
    await stop('lasting');
  });

  await context.test('starts what was here before, while the registry is away', async () => {
    const script = 'cat etc/new; sha256sum data-0; echo ends';
    assert.match(await run(name('made'), script), /^new\n/);
    await endRegistry();
    // As after the computer was started anew.
    for (const pid of world.pids('image serve --quiet')) endProcess(pid, 'SIGTERM');
    await until('the service has ended', () => world.pids('image serve').length === 0);
    assert.equal(mountsBelow(images).length, 0);
    assert.equal(await run(name('made'), script), `new\n${hashOf(0)}  data-0\nends\n`);
  });

  await context.test('gives back what removed images took', async () => {
    for (const tag of ['made', 'below', 'beside', 'large', 'other']) {
      await world.ctrOk('image', 'rm', '--sync', name(tag));
    }
    const kubernetes = ['--namespace', 'k8s.io', 'image'];
    const known = (await world.ctrOk(...kubernetes, 'ls', '-q')).trim().split('\n');
    await world.ctrOk(...kubernetes, 'rm', '--sync', ...known);
    await until('no image is mounted any more', () => mountsBelow(images).length === 0);
    const left = () => readdirSync(world.at('snapshots/snapshots'));
    await until('no snapshot is left', () => left().length === 0);
  });
});
