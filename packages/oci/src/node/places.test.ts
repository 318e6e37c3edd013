import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hostTree } from '@anole/host';
import { describeDifferences, MemoryTree } from '@anole/vfs';
import { copyImage, OciError, openImage, parsePlatform, readGraph } from '../index.ts';
import { blobsIn, RawLayout, tarOf, treeOf, twoLayers, umociImage } from '../testing/images.ts';
import { needs, run, temporary } from '../testing/tools.ts';
import {
  ArchiveReader,
  ArchiveWriter,
  DockerArchiveReader,
  DockerArchiveWriter,
  imageTree,
  LayoutDirectory,
  parseLocation,
} from './index.ts';

const platform = parsePlatform('linux/amd64');

describe('layouts and archives', () => {
  it('go into one another and come out the same', async (test) => {
    const directory = temporary(test);
    const raw = new RawLayout(join(directory, 'raw'));
    const tars = await twoLayers();
    const made = (['gzip', 'zstd', 'none'] as const).map((compression) =>
      raw.image({ layers: tars.map((tar) => ({ tar, compression })) }),
    );
    const index = raw.index([
      ['linux/riscv64', made[0]!],
      ['linux/arm64/v8', made[1]!],
      ['linux/amd64', made[2]!],
    ]);
    raw.name(index, 'all').name(made[1]!, 'zstd');
    const from = new LayoutDirectory(raw.directory);

    const path = join(directory, 'archive.tar');
    await using archive = await ArchiveWriter.create(path);
    await copyImage(from, archive, { selector: 'all', tag: 'here' });
    using reader = await ArchiveReader.open(path);
    const copy = new LayoutDirectory(join(directory, 'copy'));
    await copyImage(reader, copy, { selector: 'here', tag: 'there' });
    assert.equal((await copy.resolve('there')).digest, index.digest);
    assert.deepEqual(blobsIn(copy.directory), blobsIn(raw.directory));
    assert.equal((await readGraph(copy, await copy.resolve())).length, 4);

    const zstd = await treeOf(test, from, 'zstd');
    const whole = await openImage(copy, await copy.resolve(), platform);
    const tree = await imageTree(whole, { scratch: directory });
    assert.equal(await describeDifferences(zstd, tree), '');
    await tree.close?.();
  });

  it('are named by tags that replace one another', async (test) => {
    const raw = new RawLayout(join(temporary(test), 'raw'));
    const [tar] = await twoLayers();
    const one = raw.image({ layers: [{ tar: tar! }] });
    const two = raw.image({ layers: [{ tar: tar! }], config: { Cmd: ['x'] } });
    raw.name(one, 'a').name(two, 'b');
    const from = new LayoutDirectory(raw.directory);
    const to = new LayoutDirectory(join(temporary(test), 'to'));
    await copyImage(from, to, { selector: 'a', tag: 'v' });
    await copyImage(from, to, { selector: 'b', tag: 'v' });
    await copyImage(from, to, { selector: 'a' });
    assert.equal((await to.resolve('v')).digest, two.digest);
    assert.equal((await to.index()).manifests.length, 2);
    await assert.rejects(to.resolve(), { code: 'OCI_NOT_FOUND' });
    await assert.rejects(to.resolve('w'), { code: 'OCI_NOT_FOUND' });
  });

  it('appear whole or not at all', async (test) => {
    const directory = temporary(test);
    const raw = new RawLayout(join(directory, 'raw'));
    const image = raw.image({ layers: [{ tar: (await twoLayers())[0]! }] });
    raw.name(image, 'a');
    const [blob] = blobsIn(raw.directory);
    writeFileSync(join(raw.directory, 'blobs/sha256', blob!), 'something else');
    const from = new LayoutDirectory(raw.directory);
    const to = new LayoutDirectory(join(directory, 'to'));
    await assert.rejects(copyImage(from, to, { selector: 'a', tag: 'a' }), OciError);
    await assert.rejects(to.resolve('a'), OciError);
    const path = join(directory, 'archive.tar');
    {
      await using archive = await ArchiveWriter.create(path);
      await assert.rejects(copyImage(from, archive, { selector: 'a', tag: 'a' }), OciError);
    }
    assert.deepEqual(
      readdirSync(directory).filter((name) => !/^(raw|to)$/.test(name)),
      [],
    );
  });

  it('are what skopeo and umoci read and write', {
    skip: needs('skopeo', 'umoci', 'root'),
  }, async (test) => {
    const directory = temporary(test);
    const layout = umociImage(directory);
    run('umoci', 'unpack', '--image', `${layout}:made`, join(directory, 'judge'));
    using judge = hostTree(join(directory, 'judge/rootfs'), { xattrs: true });
    const from = new LayoutDirectory(layout);
    const at = (name: string) => join(directory, name);

    run('skopeo', 'copy', `oci:${layout}:made`, `oci-archive:${at('theirs.tar')}:v1`);
    run('skopeo', 'copy', `oci:${layout}:made`, `docker-archive:${at('theirs-docker.tar')}:web:1`);
    using archive = await ArchiveReader.open(at('theirs.tar'));
    using docker = await DockerArchiveReader.open(at('theirs-docker.tar'));
    for (const tree of [await treeOf(test, archive, 'v1'), await treeOf(test, docker)]) {
      assert.equal(await describeDifferences(tree, judge), '');
    }

    await using ours = await ArchiveWriter.create(at('ours.tar'));
    await copyImage(from, ours, { selector: 'made', tag: 'v2' });
    await using saved = await DockerArchiveWriter.create(at('ours-docker.tar'));
    await copyImage(from, saved, { selector: 'made', tag: 'web:2' });
    for (const [place, name] of [
      [`oci-archive:${at('ours.tar')}:v2`, 'one'],
      [`docker-archive:${at('ours-docker.tar')}:web:2`, 'two'],
    ] as const) {
      run('skopeo', 'copy', place, `oci:${at(name)}:back`);
      run('umoci', 'unpack', '--image', `${at(name)}:back`, at(`bundle-${name}`));
      using back = hostTree(join(at(`bundle-${name}`), 'rootfs'), { xattrs: true });
      assert.equal(await describeDifferences(back, judge), '');
    }
  });

  it('of docker are told apart by name', async (test) => {
    const directory = temporary(test);
    const path = join(directory, 'saved.tar');
    const tree = new MemoryTree();
    const config = JSON.stringify({ rootfs: { type: 'layers', diff_ids: [] } });
    tree.putFile('c.json', new TextEncoder().encode(config));
    const list = ['a:1', 'b:2'].map((tag) => ({ Config: 'c.json', RepoTags: [tag], Layers: [] }));
    tree.putFile('manifest.json', new TextEncoder().encode(JSON.stringify(list)));
    writeFileSync(path, await tarOf(tree));
    using reader = await DockerArchiveReader.open(path);
    await assert.rejects(reader.resolve(), { code: 'OCI_NOT_FOUND' });
    assert.match((await reader.resolve('b:2')).digest, /^sha256:/);
  });
});

describe('images of buildah', { skip: needs('buildah', 'root') }, () => {
  it('are read', async (test) => {
    const directory = temporary(test);
    const root = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run')];
    const buildah = (...args: string[]) =>
      run('buildah', ...root, '--storage-driver', 'vfs', ...args).trim();
    writeFileSync(join(directory, 'note'), 'kept');
    const container = buildah('from', 'scratch');
    buildah('copy', container, join(directory, 'note'), '/srv/note');
    buildah('config', '--entrypoint', '["/srv/note"]', '--arch', 'riscv64', container);
    const layout = join(directory, 'layout');
    buildah('commit', container, `oci:${layout}:made`);
    const reader = new LayoutDirectory(layout);
    const image = await openImage(reader, await reader.resolve('made'), parsePlatform('riscv64'));
    assert.deepEqual(image.config.execution.entrypoint, ['/srv/note']);
    assert.equal(image.config.platform.architecture, 'riscv64');
    const tree = await treeOf(test, reader);
    const srv = await tree.root.lookup('srv');
    assert.equal((await srv?.lookup('note'))?.stat.size, 4);
  });
});

describe('locations', () => {
  it('are read as skopeo writes them', () => {
    assert.deepEqual(parseLocation('oci:a/b:v1'), { kind: 'oci', path: 'a/b', tag: 'v1' });
    assert.deepEqual(parseLocation('docker-archive:/x.tar:web:1'), {
      kind: 'docker-archive',
      path: '/x.tar',
      tag: 'web:1',
    });
    assert.equal(parseLocation('docker://h.example/web').kind, 'registry');
    assert.equal(parseLocation('h.example/web').kind, 'store');
    for (const text of ['oci:', 'oci:a:', 'oci-archive::x', 'docker://', 'dir:x:y:z']) {
      assert.throws(() => parseLocation(text), { code: 'OCI_BAD_REFERENCE' });
    }
  });
});
