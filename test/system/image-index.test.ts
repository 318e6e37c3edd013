import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MemoryTree } from '@anole/vfs';
import { RawLayout, tarOf, umociImage } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs, run, temporary } from '../../packages/oci/src/testing/tools.ts';
import { anoleIn, succeed } from './anole-image.ts';

const skip = needs('docker-registry', 'umoci', 'skopeo', 'root');
const small = ['--min-layer', '0'];

describe('indexes of images', { skip }, () => {
  it('are made, put beside the image, listed, checked and read through', async (test) => {
    const directory = temporary(test);
    const anole = anoleIn(directory);
    const layout = umociImage(directory);
    const host = await startRegistry(test);
    const name = `docker://${host}/team/web:1`;
    const insecure = '--insecure';
    run('skopeo', 'copy', '--dest-tls-verify=false', `oci:${layout}:made`, name);

    const made = JSON.parse(succeed(anole(['index', name, insecure, ...small, '--json'])));
    assert.equal(made.layers.length, 3);
    assert.ok(made.layers.every(({ files }: { files: number }) => files > 0));
    const referrers = JSON.parse(succeed(anole(['referrers', name, insecure, '--json'])));
    assert.deepEqual(
      referrers.referrers.map((each: Record<string, unknown>) => [
        each['digest'],
        each['artifactType'],
      ]),
      [
        [made.indexes[0].index, 'application/vnd.amazon.soci.index.v1+json'],
        [made.indexes[1].index, 'application/vnd.anole.erofs-index.v2+json'],
      ],
    );
    const sound = JSON.parse(succeed(anole(['check', name, '--index', insecure, '--json'])));
    assert.deepEqual([sound.layers, sound.findings], [3, []]);
    // skopeo reads the index as the artifact it is.
    const raw = run(
      'skopeo',
      'inspect',
      '--raw',
      '--tls-verify=false',
      `${name.replace(/:1$/, '')}@${made.index}`,
    );
    assert.equal(JSON.parse(raw).subject.digest, made.image);

    const diff = anole(['diff', `indexed:${name}`, `oci:${layout}:made`]);
    assert.equal(diff.status, 0, diff.stdout + diff.stderr);
  });

  for (const [format, type] of [
    ['soci', 'application/vnd.amazon.soci.index.v1+json'],
    ['erofs', 'application/vnd.anole.erofs-index.v2+json'],
    ['rafs', 'application/vnd.nydus.image.manifest.v1+json'],
  ] as const) {
    it(`as ${format} leave the data in the layers, and are found and read through`, async (test) => {
      const directory = temporary(test);
      const anole = anoleIn(directory);
      const layout = umociImage(directory);
      const host = await startRegistry(test);
      const name = `docker://${host}/team/web:1`;
      run('skopeo', 'copy', '--dest-tls-verify=false', `oci:${layout}:made`, name);
      const flags = ['--insecure', '--json'];
      const only = ['--format', format, ...small];
      const made = JSON.parse(succeed(anole(['index', name, ...only, ...flags])));
      const { referrers } = JSON.parse(succeed(anole(['referrers', name, ...flags])));
      const kinds = referrers.map((each: Record<string, unknown>) => [
        each['digest'],
        each['artifactType'],
      ]);
      assert.deepEqual(kinds, [[made.index, type]]);
      const bare = name.replace(/:1$/, '');
      const tls = '--tls-verify=false';
      const manifest = JSON.parse(run('skopeo', 'inspect', '--raw', tls, `${bare}@${made.index}`));
      assert.equal(manifest.subject.digest, made.image);
      const diff = anole(['diff', `indexed:${name}`, `oci:${layout}:made`]);
      assert.equal(diff.status, 0, diff.stdout + diff.stderr);
    });
  }

  it('are named by a copy of the image that is bound to them', async (test) => {
    const directory = temporary(test);
    const anole = anoleIn(directory);
    const layout = umociImage(directory);
    const bound = join(directory, 'bound');
    succeed(anole(['index', `oci:${layout}:made`, '--bind', `oci:${bound}:1`, ...small]));
    succeed(anole(['check', `oci:${bound}:1`]));
    succeed(anole(['check', `oci:${bound}:1`, '--index']));
    assert.equal(anole(['diff', `indexed:oci:${bound}:1`, `oci:${layout}:made`]).status, 0);
    run('umoci', 'unpack', '--image', `${layout}:made`, join(directory, 'one'));
    run('skopeo', 'copy', `oci:${bound}:1`, `dir:${join(directory, 'copied')}`);
    const manifest = JSON.parse(readFileSync(join(directory, 'copied/manifest.json'), 'utf8'));
    assert.match(manifest.annotations['com.amazon.soci.index-digest'], /^sha256:/);
    assert.match(manifest.annotations['dev.anole.erofs-index-digest'], /^sha256:/);
  });

  it('stay with their image in the store, and go with it', async (test) => {
    const directory = temporary(test);
    const anole = anoleIn(directory);
    const layout = umociImage(directory);
    succeed(anole(['copy', `oci:${layout}:made`, 'localhost/web:1']));
    succeed(anole(['index', 'localhost/web:1', ...small]));
    succeed(anole(['gc']));
    succeed(anole(['check', 'localhost/web:1', '--index']));
    succeed(anole(['rm', 'localhost/web:1']));
    const { kept } = JSON.parse(succeed(anole(['gc', '--json'])));
    assert.equal(kept, 0);
  });

  it('that are wrong are found out', async (test) => {
    const directory = temporary(test);
    const anole = anoleIn(directory);
    const layout = umociImage(directory);
    const { image, index } = JSON.parse(
      succeed(anole(['index', `oci:${layout}:made`, '--format', 'soci', ...small, '--json'])),
    );
    // The same, of another layer: the ztocs change places.
    const blob = (digest: string) => join(layout, 'blobs/sha256', digest.slice(7));
    const manifest = JSON.parse(readFileSync(blob(index), 'utf8'));
    const [first, second] = manifest.layers;
    [first.annotations, second.annotations] = [second.annotations, first.annotations];
    const text = JSON.stringify(manifest);
    const digest = `sha256:${run('sh', '-c', `printf %s '${text}' | sha256sum`).slice(0, 64)}`;
    writeFileSync(blob(digest), text);
    const list = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
    const entry = list.manifests.find((each: { digest: string }) => each.digest === index);
    Object.assign(entry, { digest, size: text.length });
    writeFileSync(join(layout, 'index.json'), JSON.stringify(list));
    const checked = anole(['check', `oci:${layout}:made`, '--index', '--json']);
    assert.equal(checked.status, 1, checked.stderr);
    const { findings } = JSON.parse(checked.stdout);
    assert.deepEqual(
      findings.map(({ code }: { code: string }) => code),
      ['OCI_BAD_INDEX', 'OCI_BAD_INDEX'],
    );
    assert.match(image, /^sha256:/);
  });

  it('as EROFS that are of other names are found out', async (test) => {
    const directory = temporary(test);
    const anole = anoleIn(directory);
    const layout = join(directory, 'layout');
    const raw = new RawLayout(layout);
    const blob = (digest: string) => join(layout, 'blobs/sha256', digest.slice(7));
    for (const path of ['right', 'other']) {
      const tree = new MemoryTree();
      tree.putFile(path, Buffer.from('the same'));
      raw.name(raw.image({ platform: 'linux/amd64', layers: [{ tar: await tarOf(tree) }] }), path);
    }
    const [right, other] = ['right', 'other'].map((name) => {
      const erofs = ['--format', 'erofs', '--json', '--platform', 'linux/amd64'];
      return JSON.parse(succeed(anole(['index', `oci:${layout}:${name}`, ...erofs])));
    });
    const check = () =>
      anole(['check', `oci:${layout}:right`, '--index', '--json', '--platform', 'linux/amd64']);
    assert.equal(check().status, 0);
    const manifest = JSON.parse(readFileSync(blob(right.index), 'utf8'));
    manifest.layers[0] = JSON.parse(readFileSync(blob(other.index), 'utf8')).layers[0];
    const text = JSON.stringify(manifest);
    const digest = `sha256:${hash('sha256', text, 'hex')}`;
    writeFileSync(blob(digest), text);
    const list = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
    const entry = list.manifests.find((each: { digest: string }) => each.digest === right.index);
    Object.assign(entry, { digest, size: text.length });
    writeFileSync(join(layout, 'index.json'), JSON.stringify(list));
    const checked = check();
    assert.equal(checked.status, 1, checked.stderr);
    const { findings } = JSON.parse(checked.stdout);
    assert.deepEqual(
      findings.map(({ code }: { code: string }) => code),
      ['OCI_WRONG_CONTENT'],
    );
  });
});
