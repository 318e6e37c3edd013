import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureImage } from '@anole/compose/ensure';
import { openErofs } from '@anole/erofs';
import { cacheDirectory, fileSource } from '@anole/host';
import { MemoryTree, writeTar } from '@anole/vfs';
import { RawLayout, tarOf } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs } from '../../packages/oci/src/testing/tools.ts';
import { anoleProgram } from './anole-program.ts';

/** Container images that are os:base with a layer over it. */
describe('anole run of container images', () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-container-'));
  const cache = join(directory, 'cache');
  const runtime = join(directory, 'run');
  mkdirSync(runtime, { mode: 0o700 });
  after(async () => {
    const socket = join(runtime, 'anole/daemon.sock');
    if (existsSync(socket)) anole('kill', '--all');
    while (existsSync(socket)) await sleep(50);
    rmSync(directory, { recursive: true, force: true });
  });

  before(async () => {
    // Of the cache that is there, all but images: those are of this test.
    const { path } = await ensureImage('base', { architecture: 'riscv64' });
    const kept = cacheDirectory();
    spawnSync('mkdir', ['-p', cache]);
    for (const name of readdirSync(kept)) {
      if (name !== 'oci' && name !== 'blobs') symlinkSync(join(kept, name), join(cache, name));
    }
    using source = fileSource(path);
    const base = await collected(writeTar(await openErofs(source)));
    const layer = new MemoryTree();
    const script = '#!/bin/sh\necho "$GREETING from $(pwd) as $(id -u):$(id -g): $*"\n';
    layer.putFile('usr/local/bin/greet', new TextEncoder().encode(script), { mode: 0o755 });
    layer.putFile('etc/.wh.os-release', new Uint8Array(0));
    const raw = new RawLayout(join(directory, 'layout'));
    const layers = [{ tar: base, compression: 'none' as const }, { tar: await tarOf(layer) }];
    const config = {
      Env: ['GREETING=hello', 'PATH=/usr/local/bin:/usr/bin:/bin'],
      Entrypoint: ['greet'],
      Cmd: ['everyone'],
      WorkingDir: '/srv/made/on demand',
      User: '1000:50',
    };
    const ours = raw.image({ layers, config });
    const other = raw.image({ platform: 'linux/amd64', layers: [] });
    raw
      .name(
        raw.index([
          ['linux/amd64', other],
          ['linux/riscv64', ours],
        ]),
        'both',
      )
      .name(other, 'other');
  });

  function anole(...args: readonly string[]) {
    const argv = [anoleProgram, ...args];
    const daemon = { XDG_RUNTIME_DIR: runtime, ANOLE_DAEMON_IDLE: '1s' };
    const env = { ...process.env, ...daemon, ANOLE_CACHE: cache, HOME: directory };
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { env, cwd: directory });
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  test('respects entrypoint, command, variables, directory and user', () => {
    const run = anole('run', 'oci:layout:both');
    assert.equal(run.stdout, 'hello from /srv/made/on demand as 1000:50: everyone\n', run.stderr);
    const given = anole(
      'run',
      '-w',
      '/',
      '-u',
      'root',
      '-e',
      'GREETING=hi',
      'oci:layout:both',
      'me',
    );
    assert.equal(given.stdout, 'hi from / as 0:0: me\n', given.stderr);
    const other = ['run', '--entrypoint', 'cat', 'oci:layout:both', '/etc/os-release'];
    assert.match(anole(...other).stderr, /No such file/);
  });

  test('finds pulled images by name, and pulls from registries', {
    skip: needs('docker-registry'),
  }, async (context) => {
    const name = `${await startRegistry(context)}/team/greet:1`;
    assert.match(anole('run', name).stderr, /next: anole image pull/);
    const copied = anole('image', 'copy', 'oci:layout:both', `docker://${name}`);
    assert.equal(copied.status, 0, copied.stderr);
    assert.match(anole('run', `docker://${name}`).stdout, /^hello from .*: everyone\n$/);
    assert.match(anole('run', name, 'again').stdout, /^hello from .*: again\n$/);
    assert.match(anole('image', 'ls').stdout, new RegExp(`${name} .* linux/riscv64 `));
    assert.equal(anole('image', 'rm', name).status, 0);
    assert.match(anole('image', 'gc').stdout, / 0 kept\n$/);
  });

  test('starts from a registry without pulling, and fetches what is read', {
    skip: needs('docker-registry'),
  }, async (context) => {
    const name = `docker://${await startRegistry(context)}/team/lazy:1`;
    const flags = ['--platform', 'linux/riscv64', '-z', 'lz4', '-q'];
    const converted = anole('image', 'convert', 'oci:layout:both', name, ...flags);
    assert.equal(converted.status, 0, converted.stderr);
    const { status, stdout, stderr } = anole('run', name);
    assert.equal(stdout, 'hello from /srv/made/on demand as 1000:50: everyone\n', stderr);
    assert.equal(status, 0);
    const blobs = join(cache, 'blobs/blobs');
    const [blob] = readdirSync(blobs);
    const { size, blocks } = statSync(join(blobs, blob!, 'data'));
    assert.ok(blocks * 512 > 0 && blocks * 512 < size / 2, `${blocks * 512} of ${size} bytes came`);
    assert.match(anole('image', 'ls').stdout, /^(?!.*team\/lazy)/s);
    assert.match(anole('run', name, 'again').stdout, /^hello from .*: again\n$/);
  });

  test('has images of registries and of layouts as volumes, also of a sandbox that is saved', {
    skip: needs('docker-registry'),
  }, async (context) => {
    const name = `docker://${await startRegistry(context)}/team/data:1`;
    const flags = ['--platform', 'linux/riscv64', '-z', 'lz4', '-q'];
    assert.equal(anole('image', 'convert', 'oci:layout:both', name, ...flags).status, 0);
    rmSync(join(cache, 'blobs'), { recursive: true, force: true });
    const greets = /echo "\$GREETING from/;
    const script = ['cat', '/data/usr/local/bin/greet'];
    const lazy = anole('run', '-v', `${name}:/data`, '--', ...script);
    assert.match(lazy.stdout, greets, lazy.stderr);
    const parts = globSync(join(cache, 'blobs/blobs/*/data')).map((path) => statSync(path));
    const came = parts.reduce((sum, { blocks }) => sum + blocks * 512, 0);
    const size = parts.reduce((sum, each) => sum + each.size, 0);
    assert.ok(came > 0 && came < size / 2, `${came} of ${size} bytes came`);
    const layout = anole('run', '-v', 'oci:layout:both:/data:ro', '--', ...script);
    assert.match(layout.stdout, greets, layout.stderr);
    const made = anole('run', '-d', '--name', 'saved', '-v', `${name}:/data`, 'os:base');
    assert.equal(made.status, 0, made.stderr);
    assert.match(anole('exec', 'saved', ...script).stdout, greets);
    assert.equal(anole('snapshot', '--stop', 'saved', 'saved.anole').status, 0);
    assert.match(anole('restore', 'saved.anole', '--', ...script).stderr, /had the volume docker:/);
    const trusted = anole('restore', '--trust', 'saved.anole', '--', ...script);
    assert.match(trusted.stdout, greets, trusted.stderr);
    const other = ['-v', 'oci:layout:both:/data'];
    const foreign = anole('restore', ...other, 'saved.anole', '--', ...script);
    assert.match(foreign.stderr, /layout:both at \/data is not the one/);
  });

  test('starts from images of other forms without pulling them', {
    skip: needs('docker-registry'),
  }, async (context) => {
    const host = await startRegistry(context);
    const plain = `docker://${host}/team/plain:1`;
    const form = (name: string) => `docker://${host}/team/${name.replace(':', '-')}:1`;
    const platform = ['--platform', 'linux/riscv64', '-q'];
    // Only gzip layers have an index of SOCI: the lowest of these is converted first.
    const zipped = ['image', 'convert', 'oci:layout:both', form('estargz'), '--format', 'estargz'];
    for (const words of [
      ['image', 'copy', 'oci:layout:both', plain],
      [...zipped, ...platform],
      ['image', 'convert', plain, form('zstd:chunked'), '--format', 'zstd:chunked', ...platform],
      ['image', 'convert', plain, form('rafs'), '--format', 'rafs', '--only', ...platform],
      ['image', 'index', form('estargz'), '--bind', form('soci'), '--min-layer', '0', ...platform],
    ]) {
      const { status, stderr } = anole(...words);
      assert.equal(status, 0, `${words.join(' ')}: ${stderr}`);
    }
    for (const name of ['estargz', 'zstd:chunked', 'rafs', 'soci']) {
      rmSync(join(cache, 'blobs'), { recursive: true, force: true });
      // In the background first, where the daemon opens it.
      const box = `box-${name.replace(':', '-')}`;
      const flags = ['-d', '--name', box, '--entrypoint', 'sleep'];
      const made = anole('run', ...flags, form(name), '1d');
      assert.equal(made.stdout, `${box}\n`, made.stderr);
      const script = anole('exec', box, 'cat', '/usr/local/bin/greet');
      assert.match(script.stdout, /echo "\$GREETING from/, script.stderr);
      // By the image's own entrypoint.
      const other = `${box}-2`;
      assert.equal(anole('run', '-d', '--name', other, form(name), 'you').status, 0);
      while (anole('ps').stdout.includes(other)) await sleep(50);
      assert.match(anole('logs', other).stdout, /^hello from .* as 1000:50: you\n$/);
      assert.equal(anole('kill', box).status, 0);
      const { stdout, stderr } = anole('run', form(name), name);
      assert.equal(stdout, `hello from /srv/made/on demand as 1000:50: ${name}\n`, stderr);
      const parts = globSync(join(cache, 'blobs/blobs/*/data')).map((path) => statSync(path));
      const came = parts.reduce((sum, { blocks }) => sum + blocks * 512, 0);
      const size = parts.reduce((sum, each) => sum + each.size, 0);
      assert.ok(came > 0 && came < size / 2, `${came} of ${size} bytes of ${name} came`);
    }
    assert.match(anole('image', 'ls').stdout, /^(?!.*team\/)/s);
  });

  test('takes the EROFS variant of an image where there is one, as it is', () => {
    const flags = ['--platform', 'linux/riscv64', '--only', '-q'];
    const converted = anole('image', 'convert', 'oci:layout:both', 'oci:fast', ...flags);
    assert.equal(converted.status, 0, converted.stderr);
    const made = join(cache, 'oci/erofs');
    const before = existsSync(made) ? readdirSync(made) : [];
    assert.match(anole('run', 'oci:fast').stdout, /^hello from .*: everyone\n$/);
    assert.deepEqual(existsSync(made) ? readdirSync(made) : [], before);
  });

  test('says for what an image is that cannot run here', () => {
    const { status, stderr } = anole('run', 'oci:layout:other');
    assert.equal(status, 125);
    assert.match(stderr, /the image is for linux\/amd64\n +next: The machine runs images for/);
  });
});

async function collected(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part.slice());
  return new Uint8Array(Buffer.concat(parts));
}
