import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { OnDemandImages } from './layers.ts';
import { labelNames, Snapshotter } from './snapshotter.ts';

/** Images that are never on demand. */
const noImages: OnDemandImages = {
  find: async () => undefined,
  mount: () => Promise.reject(new Error('nothing is mounted here')),
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
