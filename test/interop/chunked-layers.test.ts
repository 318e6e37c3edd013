import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { umociImage } from '../../packages/oci/src/testing/images.ts';
import { needs, run, temporary } from '../../packages/oci/src/testing/tools.ts';
import { anoleIn, succeed } from '../system/anole-image.ts';
import { startContainerd } from './containerd.ts';

describe('layers with tables of contents that others wrote', {
  skip: needs('umoci', 'root'),
}, () => {
  it('as eStargz and zstd:chunked, by stargz-snapshotter, are read by ranges', {
    skip: needs('containerd', 'ctr-remote'),
  }, async (test) => {
    const directory = temporary(test);
    const layout = umociImage(directory);
    const at = (name: string) => join(directory, name);
    const ctr = await startContainerd(test, at('containerd'), 'ctr-remote');
    run('tar', '-C', layout, '-cf', at('plain.tar'), '.');
    ctr('images', 'import', '--no-unpack', '--index-name', 'local/web:1', at('plain.tar'));
    const anole = anoleIn(directory);
    for (const kind of ['estargz', 'zstdchunked']) {
      ctr('images', 'convert', `--${kind}`, '--oci', 'local/web:1', `local/web:${kind}`);
      ctr('images', 'export', at(`${kind}.tar`), `local/web:${kind}`);
      expectRead(anole, `oci-archive:${at(`${kind}.tar`)}`, `oci:${layout}:made`);
    }
  });

  it('as zstd:chunked, by buildah, are read by ranges', { skip: needs('buildah') }, (test) => {
    const directory = temporary(test);
    const layout = umociImage(directory);
    const place = ['--root', join(directory, 'store'), '--runroot', join(directory, 'run')];
    const buildah = (...args: string[]) =>
      run('buildah', ...place, '--storage-driver', 'vfs', ...args).trim();
    run('umoci', 'unpack', '--image', `${layout}:made`, join(directory, 'unpacked'));
    const container = buildah('from', 'scratch');
    buildah('copy', '--quiet', container, join(directory, 'unpacked/rootfs'), '/');
    // Of several chunks: they end where their content says.
    const program = readFileSync(process.execPath).subarray(1_000_000, 4_000_000);
    writeFileSync(join(directory, 'program'), program);
    buildah('copy', '--quiet', container, join(directory, 'program'), '/usr/bin/');
    const image = buildah('commit', '--quiet', container);
    const to = (name: string) => `oci:${join(directory, name)}:1`;
    buildah('push', '--disable-compression', image, to('plain'));
    buildah('push', '--compression-format', 'zstd:chunked', image, to('chunked'));
    expectRead(anoleIn(directory), to('chunked'), to('plain'));
  });
});

function expectRead(anole: ReturnType<typeof anoleIn>, name: string, plain: string): void {
  succeed(anole(['check', name]));
  const { layers, findings } = JSON.parse(succeed(anole(['check', '--index', name, '--json'])));
  assert.ok(layers > 0);
  assert.deepEqual(findings, []);
  // Times of eStargz are in seconds.
  const diff = anole(['diff', `indexed:${name}`, plain, '--times', 'seconds']);
  assert.equal(diff.status, 0, diff.stdout + diff.stderr);
}
