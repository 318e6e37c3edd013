import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { OnDemandImages } from './layers.ts';
import type { Usage } from './snapshot.ts';
import { labelNames, Snapshotter } from './snapshotter.ts';

/** Images that are never on demand. */
const noImages: OnDemandImages = {
  find: async () => undefined,
  mount: () => Promise.reject(new Error('nothing is mounted here')),
  usage: async () => undefined,
  unpack: () => Promise.reject(new Error('nothing is unpacked here')),
  unmountOthers: async () => {},
};

function place(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'anole-snapshots-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const open = (directory: string, images = noImages) => Snapshotter.open(directory, { images });
const named = (key: string, parent = '') => ({ key, parent, labels: {} });

describe('snapshots', () => {
  it('stand on each other, and say how they are mounted', async (test) => {
    const directory = place(test);
    await using snapshots = await open(directory);
    const [first] = await snapshots.prepare(named('a'));
    assert.deepEqual([first!.type, first!.options], ['bind', ['rw', 'rbind']]);
    writeFileSync(join(first!.source!, 'file'), 'x'.repeat(10_000));
    await snapshots.commit('A', 'a', { 'a.label': 'yes' });
    assert.deepEqual(await snapshots.usage('A'), { size: 16_384, inodes: 2 });
    const [view] = await snapshots.view(named('v', 'A'));
    assert.deepEqual([view!.type, view!.source], ['bind', first!.source]);
    const [second] = await snapshots.prepare(named('b', 'A'));
    assert.equal(second!.type, 'overlay');
    assert.deepEqual(await snapshots.mounts('b'), [second]);
    await snapshots.commit('B', 'b', {});
    const [third] = await snapshots.prepare(named('c', 'B'));
    const lower = third!.options!.find((each) => each.startsWith('lowerdir='))!;
    assert.match(lower, /snapshots\/3\/fs:.*snapshots\/1\/fs$/);
    assert.equal(snapshots.parentName(snapshots.stat('c')), 'B');
  });

  it('refuse what cannot be', async (test) => {
    await using snapshots = await open(place(test));
    await snapshots.prepare(named('a'));
    await snapshots.prepare(named('b'));
    await assert.rejects(snapshots.prepare(named('a')), { code: 'CONTAINERD_EXISTS' });
    await assert.rejects(snapshots.prepare(named('')), { code: 'CONTAINERD_BAD_REQUEST' });
    await assert.rejects(snapshots.prepare(named('c', 'no')), { code: 'CONTAINERD_NOT_FOUND' });
    await assert.rejects(snapshots.prepare(named('c', 'a')), { code: 'CONTAINERD_IN_USE' });
    await snapshots.commit('A', 'a', {});
    await assert.rejects(snapshots.commit('A', 'b', {}), { code: 'CONTAINERD_EXISTS' });
    assert.equal(snapshots.stat('b').kind, 'active');
    await assert.rejects(snapshots.commit('C', 'A', {}), { code: 'CONTAINERD_IN_USE' });
    await assert.rejects(snapshots.mounts('A'), { code: 'CONTAINERD_IN_USE' });
    await snapshots.prepare(named('c', 'A'));
    await assert.rejects(snapshots.remove('A'), { code: 'CONTAINERD_IN_USE' });
    await assert.rejects(snapshots.remove('no'), { code: 'CONTAINERD_NOT_FOUND' });
    await assert.rejects(open('/tmp/a:b'), { code: 'CONTAINERD_BAD_REQUEST' });
  });

  it('change their labels only', async (test) => {
    await using snapshots = await open(place(test));
    await snapshots.prepare({ ...named('a'), labels: { one: '1', two: '2' } });
    const two = await snapshots.update('a', { two: '22', three: '3' }, ['labels.two']);
    assert.deepEqual(two.labels, { one: '1', two: '22' });
    assert.deepEqual((await snapshots.update('a', {}, ['labels.one'])).labels, { two: '22' });
    assert.deepEqual((await snapshots.update('a', { four: '4' }, [])).labels, { four: '4' });
    await assert.rejects(snapshots.update('a', {}, ['kind']), { code: 'CONTAINERD_BAD_REQUEST' });
  });

  it('are found by filters', async (test) => {
    await using snapshots = await open(place(test));
    const ref = 'sha256:12';
    await snapshots.prepare({ ...named('a'), labels: { [labelNames.target]: ref, n: 'v"1' } });
    await snapshots.commit('ns/1/A', 'a', {});
    await snapshots.prepare(named('b', 'ns/1/A'));
    const names = (...filters: string[]) => snapshots.list(filters).map(({ name }) => name);
    assert.deepEqual(names(), ['ns/1/A', 'b']);
    // As containerd asks after a layer that it need not fetch.
    assert.deepEqual(names(`labels."${labelNames.target}"==${ref},parent==""`), ['ns/1/A']);
    assert.deepEqual(names(`labels."${labelNames.target}"==${ref},parent=="x"`), []);
    assert.deepEqual(names('kind==Active', 'name~="^ns/"'), ['ns/1/A', 'b']);
    assert.deepEqual(names('labels.n == "v\\"1"'), ['ns/1/A']);
    assert.deepEqual(names('labels.n'), ['ns/1/A']);
    assert.deepEqual(names('parent!=""'), ['b']);
    for (const wrong of ['kind=', 'nothing==1', 'name~="("', 'name=="', 'name==a b', '==a']) {
      assert.throws(() => names(wrong), { code: 'CONTAINERD_BAD_REQUEST' }, wrong);
    }
    assert.throws(() => names(`name==${'a'.repeat(10_000)}`), { code: 'CONTAINERD_BAD_REQUEST' });
  });

  it('are there after a process that ended at any moment', async (test) => {
    const directory = place(test);
    {
      await using snapshots = await open(directory);
      await assert.rejects(open(directory), { code: 'HOST_LOCKED' });
      await snapshots.prepare({ ...named('a'), labels: { one: '1' } });
      await snapshots.commit('A', 'a', {});
      await snapshots.prepare(named('b', 'A'));
    }
    // Killed before its note was written; killed while it was being deleted.
    mkdirSync(join(directory, 'snapshots/7/fs'), { recursive: true });
    mkdirSync(join(directory, 'removed/5/fs'), { recursive: true });
    await using snapshots = await open(directory);
    assert.equal(snapshots.parentName(snapshots.stat('b')), 'A');
    assert.deepEqual(snapshots.stat('A').labels, { one: '1' });
    await snapshots.cleanup();
    assert.deepEqual(readdirSync(join(directory, 'removed')), []);
    assert.deepEqual(readdirSync(join(directory, 'snapshots')).sort(), ['1', '2']);
    await snapshots.prepare(named('c'));
    assert.equal(snapshots.stat('c').id, '8', 'no id is used twice');
  });

  it('whose notes are damaged are not guessed at', async (test) => {
    const directory = place(test);
    {
      await using snapshots = await open(directory);
      await snapshots.prepare(named('a'));
    }
    const note = join(directory, 'snapshots/1/snapshot.json');
    const sound = JSON.parse(readFileSync(note, 'utf8')) as object;
    for (const wrong of [{ kind: 'x' }, { id: '2' }, { labels: { a: 1 } }, { created: null }]) {
      writeFileSync(note, JSON.stringify({ ...sound, ...wrong }));
      await assert.rejects(open(directory), { code: 'CONTAINERD_BAD_MESSAGE' });
    }
    writeFileSync(note, '{');
    await assert.rejects(open(directory), { code: 'CONTAINERD_BAD_MESSAGE' });
  });
});

/** Images of which one, of three layers, is on demand; and what was done with it. */
function imagesInMemory() {
  const chain = ['sha256:1', 'sha256:2', 'sha256:3'];
  const done: string[] = [];
  const state = { isLost: false, here: new Map<string, Usage>() };
  const images: OnDemandImages = {
    async find(reference, chainId) {
      const depth = chain.indexOf(chainId) + 1;
      const whole = reference === 'host/short:1' ? 2 : 3;
      if (reference === 'host/plain:1' || depth === 0 || depth > whole) return undefined;
      return { original: 'o', variant: `v${whole}`, depth, isLast: depth === whole };
    },
    async mount(variant) {
      if (state.isLost) throw new Error('the service of images is away');
      done.push(`mount ${variant}`);
      return '/';
    },
    async usage(variant) {
      return state.here.get(variant);
    },
    async unpack(_original, depth, directory) {
      done.push(`unpack ${depth}`);
      mkdirSync(directory);
      writeFileSync(join(directory, 'file'), `of ${depth} layers`);
    },
    async unmountOthers(wanted) {
      done.push(`keep ${[...wanted].sort().join(' ')}`);
    },
  };
  return { images, chain, done, state };
}

/** As containerd prepares a layer before it fetches it. */
const layer = (image: string, target: string, parent: string) => ({
  key: `extract ${image} ${target} ${parent}`,
  parent,
  labels: { [labelNames.target]: target, [labelNames.image]: `host/${image}:1` },
});
const promised = { code: 'CONTAINERD_EXISTS' };
const lowerOf = (mounts: readonly { options?: readonly string[] }[]) =>
  mounts[0]!.options!.find((each) => each.startsWith('lowerdir='))!.slice('lowerdir='.length);

describe('layers on demand', () => {
  async function setUp(test: TestContext) {
    const directory = place(test);
    const memory = imagesInMemory();
    const events: object[] = [];
    const options = { images: memory.images, onEvent: (event: object) => events.push(event) };
    const snapshots = await Snapshotter.open(directory, options);
    test.after(() => snapshots[Symbol.asyncDispose]());
    /** Name of the snapshot of a layer, found as containerd finds it. */
    const nameOf = (target: string, parent: string) => {
      const filter = `labels."${labelNames.target}"==${target},parent==${JSON.stringify(parent)}`;
      return snapshots.list([filter]).map(({ name }) => name)[0] ?? '';
    };
    const promise = async (image: string, target: string, parent: string) => {
      await assert.rejects(snapshots.prepare(layer(image, target, parent)), promised);
      return nameOf(target, parent);
    };
    return { snapshots, events, promise, nameOf, ...memory };
  }

  it('are promised, and containers stand on the mounted image alone', async (test) => {
    const { snapshots, promise, done, chain, state } = await setUp(test);
    let top = '';
    const all: string[] = [];
    for (const each of chain) {
      top = await promise('made', each, top);
      all.push(top);
    }
    assert.equal(lowerOf(await snapshots.prepare(named('container', top))), '/');
    assert.ok(
      done.every((each) => each === 'mount v3'),
      `${done}`,
    );
    const usages = () => Promise.all(all.map((each) => snapshots.usage(each)));
    const none = { size: 0, inodes: 0 };
    assert.deepEqual(await usages(), [none, none, none]);
    state.here.set('v3', { size: 4096, inodes: 4 });
    assert.deepEqual(await usages(), [none, none, { size: 4096, inodes: 4 }]);
    await assert.rejects(snapshots.remove(top), { code: 'CONTAINERD_IN_USE' });
    await snapshots.remove('container');
    await snapshots.remove(top);
    assert.equal(done.at(-1), 'keep v3', 'the promises still know the image');
  });

  it('that are only promised are unpacked, once, for whoever stands on them', async (test) => {
    const { snapshots, promise, done, chain } = await setUp(test);
    const first = await promise('made', chain[0]!, '');
    const second = await promise('made', chain[1]!, first);
    const both = [named('one', second), named('two', second)];
    const [one, two] = await Promise.all(both.map((each) => snapshots.prepare(each)));
    assert.equal(lowerOf(one!), lowerOf(two!));
    assert.equal(readFileSync(join(lowerOf(one!), 'file'), 'utf8'), 'of 2 layers');
    assert.deepEqual(
      done.filter((each) => each.startsWith('unpack')),
      ['unpack 2'],
    );
    assert.ok((await snapshots.usage(second)).size > 0);
  });

  it('become an image of their own where a shorter image ends with them', async (test) => {
    const { snapshots, promise, done, chain } = await setUp(test);
    const first = await promise('made', chain[0]!, '');
    const second = await promise('made', chain[1]!, first);
    assert.equal(await promise('short', chain[1]!, first), second);
    assert.equal(lowerOf(await snapshots.prepare(named('container', second))), '/');
    assert.ok(!done.includes('unpack 2') && done.includes('mount v2'));
  });

  it('stand on ordinary layers where those were there before', async (test) => {
    const { snapshots, promise, nameOf, chain } = await setUp(test);
    await snapshots.prepare(layer('plain', chain[0]!, ''));
    const { key, labels } = layer('plain', chain[0]!, '');
    await snapshots.commit('ns/1/sha256:1', key, labels);
    assert.equal(nameOf(chain[0]!, ''), 'ns/1/sha256:1');
    const second = await promise('made', chain[1]!, 'ns/1/sha256:1');
    const third = await promise('made', chain[2]!, second);
    assert.equal(lowerOf(await snapshots.prepare(named('container', third))), '/');
  });

  it('are fetched in the ordinary way where they cannot be had so', async (test) => {
    const { snapshots, events, state, chain } = await setUp(test);
    state.isLost = true;
    const [mount] = await snapshots.prepare(layer('made', chain[0]!, ''));
    assert.equal(mount!.type, 'bind');
    assert.deepEqual(events, [
      {
        event: 'not on demand',
        image: 'host/made:1',
        layer: chain[0],
        reason: 'Error: the service of images is away',
      },
    ]);
  });

  it('are asked for once by those who ask at the same time', async (test) => {
    const { snapshots, promise, chain } = await setUp(test);
    await Promise.all([1, 2, 3].map(() => promise('made', chain[0]!, '')));
    assert.equal(snapshots.list([]).length, 1);
  });
});
