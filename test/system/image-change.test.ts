import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { hostTree } from '@anole/host';
import { describeDifferences } from '@anole/vfs';
import { blobsIn, umociImage } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs, run } from '../../packages/oci/src/testing/tools.ts';
import { anoleProgram } from './anole-program.ts';

const skip = needs('docker-registry', 'umoci', 'skopeo', 'fsck.erofs', 'root');

describe('anole image, of what it makes of images', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-change-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  before(() => {
    umociImage(directory);
    run('umoci', 'unpack', '--image', 'umoci:made'.replace(/^/, `${directory}/`), at('judge'));
  });
  const at = (name: string) => join(directory, name);

  function anole(...args: readonly string[]) {
    const argv = [anoleProgram, 'image', ...args];
    const env = { ...process.env, ANOLE_CACHE: at('cache'), HOME: directory };
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { env, cwd: directory });
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  function succeed(...args: readonly string[]): string {
    const { status, stdout, stderr } = anole(...args);
    assert.equal(status, 0, stderr);
    return stdout;
  }

  it('is an EROFS variant beside the original, the same to the kernel', async () => {
    const made = JSON.parse(succeed('convert', 'oci:umoci:made', 'oci:both:v', '--json'));
    assert.equal(
      JSON.parse(succeed('convert', 'oci:umoci', 'oci:again:v', '--json')).digest,
      made.digest,
    );
    const index = JSON.parse(succeed('inspect', 'oci:both:v', '--raw'));
    const [original, variant] = index.manifests;
    assert.equal(
      original.digest,
      JSON.parse(readFileSync(at('umoci/index.json'), 'utf8')).manifests[0].digest,
    );
    assert.deepEqual(variant.platform['os.features'], ['erofs']);
    const manifest = JSON.parse(
      readFileSync(at(`both/blobs/sha256/${variant.digest.slice(7)}`), 'utf8'),
    );
    const [layer] = manifest.layers;
    assert.equal(layer.mediaType, 'application/vnd.erofs.layer.v1');
    const image = at(`both/blobs/sha256/${layer.digest.slice(7)}`);
    run('fsck.erofs', image);
    mkdirSync(at('mounted'));
    run('mount', '-t', 'erofs', '-o', 'ro', image, at('mounted'));
    try {
      using ours = hostTree(at('mounted'), { xattrs: true });
      using judge = hostTree(at('judge/rootfs'), { xattrs: true });
      assert.equal(await describeDifferences(ours, judge), '');
    } finally {
      run('umount', at('mounted'));
    }
    // Who does not know EROFS takes the original.
    run('umoci', 'unpack', '--image', `${at('umoci')}:made`, at('other'));
  });

  it('is converted in registries, compressed, alone', async (test) => {
    const host = await startRegistry(test);
    const name = `${host}/a/b:1`;
    succeed('copy', 'oci:umoci:made', `docker://${name}`);
    succeed('convert', `docker://${name}`, `docker://${name}-erofs`, '-z', 'lz4');
    run('skopeo', 'inspect', '--tls-verify=false', `docker://${name}-erofs`);
    assert.equal(anole('diff', `docker://${name}`, `docker://${name}-erofs`).status, 0);
    succeed('check', `docker://${name}-erofs`);
    succeed('convert', `docker://${name}`, 'oci:alone', '--only');
    assert.equal(succeed('diff', 'oci:alone', at('judge/rootfs')), '');
    // In a registry it is read by ranges; unpacked, it is the same.
    succeed('copy', 'oci:alone', `docker://${host}/a/alone:1`);
    assert.equal(succeed('diff', `docker://${host}/a/alone:1`, at('judge/rootfs')), '');
    succeed('unpack', `docker://${host}/a/alone:1`, 'alone-unpacked');
    assert.equal(succeed('diff', 'alone-unpacked', at('judge/rootfs')), '');
    const [only] = JSON.parse(succeed('inspect', 'oci:alone', '--raw')).manifests;
    assert.deepEqual(only.platform['os.features'], ['erofs']);
    assert.match(
      anole('convert', `docker://${name}`, 'oci:none', '--platform', 'linux/s390x').stderr,
      /Cannot/,
    );
  });

  it('is a RAFS variant beside the original, with a blob for each layer', async (test) => {
    const made = JSON.parse(
      succeed('convert', 'oci:umoci:made', 'oci:rafs:v', '--format', 'rafs', '--json'),
    );
    const again = JSON.parse(
      succeed('convert', 'oci:umoci', 'oci:rafs:w', '--format', 'rafs', '--json'),
    );
    assert.equal(again.digest, made.digest);
    const { manifests } = JSON.parse(succeed('inspect', 'oci:rafs:v', '--raw'));
    const { artifactType, digest, platform } = manifests[1];
    assert.equal(artifactType, 'application/vnd.nydus.image.manifest.v1+json');
    assert.deepEqual(platform['os.features'], ['nydus.remoteimage.v1']);
    const { layers } = JSON.parse(readFileSync(at(`rafs/blobs/sha256/${digest.slice(7)}`), 'utf8'));
    const [blob, bootstrap] = [layers[0], layers.at(-1)];
    assert.equal(blob.mediaType, 'application/vnd.oci.image.layer.nydus.blob.v1');
    assert.equal(bootstrap.annotations['containerd.io/snapshot/nydus-bootstrap'], 'true');
    succeed('check', 'oci:rafs:v');
    succeed('convert', 'oci:umoci:made', 'oci:rafs-alone:v', '--format', 'rafs', '--only');
    assert.equal(succeed('diff', 'oci:rafs-alone:v', at('judge/rootfs')), '');
    succeed('unpack', 'oci:rafs-alone:v', 'rafs-unpacked');
    assert.equal(succeed('diff', 'rafs-unpacked', at('judge/rootfs')), '');
    const host = await startRegistry(test);
    succeed('copy', 'oci:rafs-alone:v', `docker://${host}/a/rafs:1`);
    run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${host}/a/rafs:1`);
    assert.equal(succeed('diff', `docker://${host}/a/rafs:1`, at('judge/rootfs')), '');
  });

  it('is converted to eStargz, whose own files are none of the image', () => {
    succeed('convert', 'oci:umoci:made', 'oci:esgz:v', '--format', 'estargz');
    assert.equal(succeed('diff', 'oci:esgz:v', 'oci:umoci:made'), '');
    succeed('unpack', 'oci:esgz:v', 'esgz-unpacked');
    assert.equal(succeed('diff', 'esgz-unpacked', at('judge/rootfs')), '');
    assert.equal(succeed('diff', 'indexed:oci:esgz:v', 'oci:umoci:made', '--times', 'seconds'), '');
    // And back, in every form.
    for (const format of ['erofs', 'rafs', 'zstd:chunked']) {
      succeed('convert', 'oci:esgz:v', `oci:back:${format}`, '--format', format, '--only');
      assert.equal(succeed('diff', `oci:back:${format}`, 'oci:umoci:made'), '', format);
    }
    // Whose layers do not say so has these files.
    const bare = JSON.parse(succeed('inspect', 'oci:esgz:v', '--raw'));
    const layers = bare.layers.map(
      ({ annotations: _, ...layer }: Record<string, unknown>) => layer,
    );
    const manifest = Buffer.from(JSON.stringify({ ...bare, layers }));
    const hex = createHash('sha256').update(manifest).digest('hex');
    writeFileSync(at(`esgz/blobs/sha256/${hex}`), manifest);
    const root = { mediaType: bare.mediaType, digest: `sha256:${hex}`, size: manifest.length };
    const index = { schemaVersion: 2, manifests: [root] };
    writeFileSync(at('esgz/index.json'), JSON.stringify(index));
    const { status, stdout } = anole('diff', 'oci:esgz', 'oci:umoci:made', '--brief');
    assert.equal(status, 1);
    assert.match(stdout, /no\.prefetch\.landmark/);
  });

  it('is compared with directories, tars and other images', () => {
    assert.equal(succeed('diff', 'oci:umoci', at('judge/rootfs')), '');
    run('tar', '-C', at('judge/rootfs'), '--xattrs', '-cf', at('judge.tar'), '.');
    assert.equal(succeed('diff', 'oci:umoci', at('judge.tar'), '--times', 'seconds'), '');
    writeFileSync(at('judge/rootfs/etc/three'), 'other');
    const changed = anole('diff', 'oci:umoci', at('judge/rootfs'), '--brief');
    assert.equal(changed.status, 1);
    assert.match(changed.stdout, /^\/etc\/three: differs$/m);
    assert.equal(anole('diff', 'oci:umoci', 'oci:absent').status, 2);
  });

  it('is changed and grows: umoci unpacks it, skopeo reads it', () => {
    mkdirSync(at('site/srv'), { recursive: true });
    writeFileSync(at('site/srv/page'), 'hello');
    writeFileSync(at('site/.wh.lib'), '');
    const command = ['--cmd', '["/bin/httpd","-f"]', '-e', 'GREETING=bye', '-e', 'NEW=1'];
    succeed('append', 'oci:umoci', 'site', '-t', 'oci:grown:1', ...command);
    succeed(
      'config',
      'oci:grown:1',
      'oci:grown:2',
      '--workdir',
      '/',
      '--label',
      'a=b',
      '--user',
      '7',
    );
    run('umoci', 'unpack', '--image', `${at('grown')}:2`, at('unpacked'));
    assert.equal(readFileSync(at('unpacked/rootfs/srv/page'), 'utf8'), 'hello');
    assert.ok(!readdirSync(at('unpacked/rootfs')).includes('lib'));
    const { config } = JSON.parse(run('skopeo', 'inspect', '--config', `oci:${at('grown')}:2`));
    assert.deepEqual(config.Cmd, ['/bin/httpd', '-f']);
    assert.ok(config.Env.includes('GREETING=bye') && config.Env.includes('NEW=1'));
    assert.ok(!config.Env.includes('GREETING=hello'));
    assert.deepEqual([config.WorkingDir, config.Labels, config.User], ['/', { a: 'b' }, '7']);
    assert.match(anole('config', 'oci:grown:2', 'oci:grown:3').stderr, /nothing to change/);
    assert.match(anole('config', 'oci:grown:2', 'oci:grown:3', '--cmd', '[1]').stderr, /JSON list/);
  });

  it('is checked: what is damaged or missing is named', () => {
    run('cp', '-r', at('umoci'), at('damaged'));
    assert.equal(anole('check', 'oci:damaged').status, 0);
    const blobs = blobsIn(at('damaged')).map((name) => at(`damaged/blobs/sha256/${name}`));
    const isLayer = (path: string) =>
      readFileSync(path)
        .subarray(0, 2)
        .equals(Buffer.from([0x1f, 0x8b]));
    const [first, second] = blobs.filter(isLayer);
    const bytes = readFileSync(first!);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(first!, bytes);
    rmSync(second!);
    const { status, stdout } = anole('check', 'oci:damaged', '--json');
    assert.equal(status, 1);
    const codes = JSON.parse(stdout).findings.map(({ code }: { code: string }) => code);
    assert.ok(codes.includes('OCI_NOT_FOUND'), stdout);
    assert.ok(codes.length >= 2, stdout);
    assert.equal(anole('check', 'oci:absent').status, 2);
  });
});
