import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { needs, sharedBySuite, until } from '../../packages/oci/src/testing/tools.ts';
import {
  allHashes,
  contentOf,
  FILES,
  hashOf,
  kinds,
  mountAll,
  noKernelMount,
  type Published,
  publish,
  SIZE,
  setUp,
} from './image-world.ts';
import { endProcess, isAlive } from './left-over.ts';

const skip = needs('docker-registry', 'root');

describe('mounted images', { skip }, () => {
  const suite = sharedBySuite();
  let published: Published;
  before(async () => {
    published = await publish(suite);
  });

  it('have what the image has, and fetch what is read', async (test) => {
    const place = await setUp(test, published);
    const { anole, sum, sums, run, proxy } = place;
    assert.deepEqual(JSON.parse((await anole('image', 'mounts', '--json')).stdout), []);
    const mounted = await mountAll(test, place);
    const atFirst = proxy.state.bytes;
    assert.equal(await sum(mounted[0]!, 3), hashOf(contentOf(3)));
    const forOne = proxy.state.bytes - atFirst;
    assert.ok(forOne > 0 && forOne < 2 * SIZE, `${forOne} bytes came for one file`);
    for (const kind of mounted) {
      assert.deepEqual(await sums(kind), allHashes());
      assert.equal((await run('readlink', `${kind}/data/link`)).stdout, 'file-0\n');
    }
    const { stdout } = await anole('image', 'mounts', '--json');
    const before = proxy.state.bytes;
    for (const { directory } of JSON.parse(stdout) as { directory: string }[]) {
      assert.equal((await anole('image', 'umount', directory)).status, 0);
    }
    for (const kind of await mountAll(test, place)) {
      assert.equal(await sum(kind, 5), hashOf(contentOf(5)));
    }
    const came = proxy.state.bytes - before;
    // Manifests and hashes, which are 1/128 of the data.
    assert.ok(came < (FILES * SIZE) / 50, `${came} bytes came a second time`);
  });

  it('survive the service: readers wait, or get an error, but never wrong bytes', async (test) => {
    const place = await setUp(test, published);
    const { sum, sums, pids } = place;
    for (const kind of await mountAll(test, place)) {
      const reading = Promise.all(
        Array.from({ length: FILES }, async (_, file) => [file, await sum(kind, file)] as const),
      );
      await sleep(30);
      for (const pid of pids('kept')) endProcess(pid);
      for (const [file, met] of await reading) {
        assert.ok(met === 'error' || met === hashOf(contentOf(file)), `file ${file} is wrong`);
      }
      assert.deepEqual(await sums(kind), allHashes());
    }
  });

  it('give errors while the registry is away or lies, and are well again after', async (test) => {
    const place = await setUp(test, published);
    const { sum, proxy, directory } = place;
    // Apart, and from the last to the first: what is read ahead of one must not be the next.
    let file = 9;
    const mounted = await mountAll(test, place);
    await place.hurry();
    for (const kind of mounted) {
      for (const mode of ['lying', 'down'] as const) {
        assert.equal(await sum(kind, file), hashOf(contentOf(file)));
        proxy.state.mode = mode;
        assert.equal(await sum(kind, file), hashOf(contentOf(file)), 'what has come stays');
        assert.equal(await sum(kind, file + 12), 'error', `${kind}, ${mode}`);
        proxy.state.mode = 'through';
        assert.equal(await sum(kind, file + 12), hashOf(contentOf(file + 12)));
        file -= 3;
      }
    }
    const log = readFileSync(join(directory, 'anole/images.log'), 'utf8');
    assert.match(log, /"event":"refused".*VERITY_WRONG_DATA|it is not what its hash says/);
  });

  it('do not trust a cache that has rotted', async (test) => {
    const place = await setUp(test, published);
    const { sum, anole, directory } = place;
    const mounted = await mountAll(test, place);
    for (const kind of mounted) assert.equal(await sum(kind, 7), hashOf(contentOf(7)));
    for (const kind of mounted) await anole('image', 'umount', kind);
    const blobs = join(directory, 'cache/blobs/blobs');
    for (const name of readdirSync(blobs)) {
      const fd = openSync(join(blobs, name, 'data'), 'r+');
      for (let at = 100; at < FILES * SIZE; at += 65_536) writeSync(fd, 'rot', at);
      closeSync(fd);
    }
    for (const kind of await mountAll(test, place)) {
      for (const file of [7, 8]) assert.equal(await sum(kind, file), hashOf(contentOf(file)));
    }
  });

  it('may be of other forms: tables of contents, indexes beside them, RAFS', async (test) => {
    const place = await setUp(test, published);
    const { anole, sum, proxy, mount, pids } = place;
    const at = (tag: string) => `docker://${proxy.host}/made:${tag}`;
    const convert = ['image', 'convert', 'oci:layout:made'];
    for (const command of [
      [...convert, at('stargz'), '--format', 'estargz'],
      [...convert, at('rafs'), '--format', 'rafs'],
      ['image', 'copy', 'oci:layout:made', at('plain')],
      ['image', 'index', at('plain'), '--min-layer', '0', '--span', '262144'],
    ]) {
      const { status, stderr } = await anole(...command);
      assert.equal(status, 0, stderr);
    }
    assert.match((await mount('fuse', at('plain'))).stderr, /OCI_UNSUPPORTED/);
    for (const [name, wanted] of [
      [at('stargz'), 'kernel'],
      [at('rafs'), 'fuse'],
      [`indexed:${at('plain')}`, 'kernel'],
    ] as const) {
      const before = proxy.state.bytes;
      const kind = noKernelMount ? 'fuse' : wanted;
      const { status, stderr } = await mount(kind, name);
      assert.equal(status, 0, stderr);
      await place.hurry();
      assert.equal(await sum(kind, 3), hashOf(contentOf(3)));
      const came = proxy.state.bytes - before;
      assert.ok(came < (FILES * SIZE) / 3, `${came} bytes came for a file of ${name}`);
      proxy.state.mode = 'down';
      for (const pid of pids('kept')) endProcess(pid);
      // Who asked the one that died may be refused.
      await sum(kind, 3);
      assert.equal(await sum(kind, 3), hashOf(contentOf(3)), `${name}, ${kind}: what has come`);
      assert.equal(await sum(kind, 20), 'error');
      proxy.state.mode = 'through';
      assert.equal(await sum(kind, 20), hashOf(contentOf(20)));
      assert.equal((await anole('image', 'umount', kind)).status, 0);
      await place.run('rm', '-r', 'cache/blobs/blobs');
    }
  });

  it('fetch nothing for a second start, whatever their form is', async (test) => {
    const place = await setUp(test, published);
    const { anole, ask, run, sum, proxy, mount, pids } = place;
    const at = (tag: string) => `docker://${proxy.host}/made:${tag}`;
    const convert = ['image', 'convert', 'oci:layout:made'];
    const bind = (tag: string) => ['--bind', at(tag), '--min-layer', '0', '--span', '262144'];
    for (const command of [
      [...convert, at('rafs'), '--format', 'rafs'],
      [...convert, at('stargz'), '--format', 'estargz'],
      [...convert, at('chunked'), '--format', 'zstd:chunked'],
      ['image', 'copy', 'oci:layout:made', at('plain')],
      ['image', 'index', at('plain'), ...bind('indexed')],
      ['image', 'index', at('plain'), ...bind('soci'), '--format', 'soci'],
    ]) {
      const { status, stderr } = await anole(...command);
      assert.equal(status, 0, stderr);
    }
    const names = ['1', 'rafs', 'stargz', 'chunked', 'indexed', 'soci'].map(at);
    for (const name of [...names, `indexed:${at('plain')}`]) {
      for (const kind of kinds) {
        await run('rm', '-r', '-f', 'cache/blobs');
        const { state } = proxy;
        const start = async () => {
          const { status, stderr } = await mount(kind, name);
          assert.equal(status, 0, stderr);
          for (const file of [3, 11]) assert.equal(await sum(kind, file), hashOf(contentOf(file)));
        };
        const before = state.contentBytes;
        await start();
        assert.ok(state.contentBytes > before);
        // The next one knows only what is on the disk: what the kernel reads ahead goes there, too, once it has come.
        await until('all has come', async () =>
          JSON.parse((await ask('GET', '/v1/mounts')).text).mounts.every(
            ({ coming }: { readonly coming: number }) => coming === 0,
          ),
        );
        for (const pid of pids('quiet')) process.kill(pid, 'SIGTERM');
        while (pids('quiet').length > 0) await sleep(20);
        const first = state.contentBytes;
        await start();
        assert.equal(state.contentBytes - first, 0, `${name}, ${kind}: bytes that came again`);
        assert.equal((await anole('image', 'umount', kind)).status, 0);
        for (const pid of pids('quiet')) process.kill(pid, 'SIGTERM');
        while (pids('quiet').length > 0) await sleep(20);
      }
    }
  });

  it('are mounted without their registry where it was said so, and asked for where not', async (test) => {
    const place = await setUp(test, published);
    const { anole, sum, ask, proxy, pids } = place;
    const at = (tag: string) => `docker://${proxy.host}/made:${tag}`;
    const mount = (when: string, tag = '1') =>
      anole(
        'image',
        'mount',
        '--platform',
        'linux/amd64',
        '--kind',
        'fuse',
        '--pull',
        when,
        at(tag),
        'fuse',
      );
    assert.match((await mount('never')).stderr, /--pull missing\n.*OCI_NOT_FOUND/);
    assert.equal((await mount('missing')).status, 0);
    assert.equal(await sum('fuse', 3), hashOf(contentOf(3)));
    // As after the computer was started anew.
    assert.equal((await anole('image', 'umount', 'fuse')).status, 0);
    for (const pid of pids('quiet')) process.kill(pid, 'SIGTERM');
    await until('it has ended', () => pids('quiet').length === 0);
    proxy.state.mode = 'down';
    assert.match((await mount('always')).stderr, /--pull missing.*\n.*OCI_UNREACHABLE/);
    assert.match((await mount('missing', 'other')).stderr, /OCI_UNREACHABLE/);
    for (const when of ['missing', 'never']) {
      const { status, stderr } = await mount(when);
      assert.equal(status, 0, stderr);
      await place.hurry();
      assert.equal(await sum('fuse', 3), hashOf(contentOf(3)));
      assert.equal(await sum('fuse', 20), 'error');
      assert.equal((await anole('image', 'umount', 'fuse')).status, 0);
    }
    const wrong = { image: at('1'), directory: '/mnt', pull: 'often' };
    assert.match(
      (await ask('POST', '/v1/mounts', wrong)).text,
      /pull must be always, missing, never/,
    );
  });

  it('do not wait for each other where a new service cannot open one of them', {
    skip: noKernelMount,
  }, async (test) => {
    const place = await setUp(test, published);
    const { anole, sum, pids, proxy, directory } = place;
    const other = `docker://${proxy.host}/made:other`;
    const convert = ['image', 'convert', 'oci:layout:made', other, '--format', 'estargz'];
    assert.equal((await anole(...convert)).status, 0);
    assert.equal((await place.mount('fuse')).status, 0);
    const blobs = join(directory, 'cache/blobs/blobs');
    const own = new Set(readdirSync(blobs));
    const { status, stderr } = await place.mount('kernel', other);
    assert.equal(status, 0, stderr);
    await place.hurry();
    for (const each of kinds) {
      assert.equal(await sum(each, 3), hashOf(contentOf(3)));
    }
    // Of the other image nothing is left, and nobody who has it answers.
    proxy.state.mode = 'down';
    for (const name of readdirSync(blobs)) {
      if (!own.has(name)) rmSync(join(blobs, name), { recursive: true });
    }
    for (const pid of pids('kept')) endProcess(pid);
    assert.equal(await sum('fuse', 3), hashOf(contentOf(3)));
    assert.equal(await sum('kernel', 20), 'error');
    const log = readFileSync(join(directory, 'anole/images.log'), 'utf8');
    assert.match(log, /"cannot take over yet".*Cannot reach/);
    const mounts = JSON.parse((await anole('image', 'mounts', '--json')).stdout);
    assert.equal(mounts.length, 2);
    proxy.state.mode = 'through';
    await until('it can be read', async () => (await sum('kernel', 20)) !== 'error');
    for (const each of kinds) {
      assert.equal(await sum(each, 20), hashOf(contentOf(20)));
      assert.equal((await anole('image', 'umount', each)).status, 0);
    }
  });

  it('outlive the keeper too: readers wait for the next, which goes on', async (test) => {
    const place = await setUp(test, published);
    const { sum, sums, pids, anole, directory } = place;
    const mounted = await mountAll(test, place);
    const kill = () => {
      for (const pid of [...pids('quiet'), ...pids('kept')]) endProcess(pid);
    };
    const read = (kind: string) =>
      Promise.all(
        Array.from(
          { length: FILES / 2 },
          async (_, file) => [file, await sum(kind, file)] as const,
        ),
      );
    const reading = mounted.map(read);
    await sleep(30);
    kill();
    // With nobody to answer, this cannot end well, and must not end badly.
    const late = mounted.map((kind) => sum(kind, FILES - 1));
    await sleep(300);
    const { stdout } = await anole('image', 'mounts', '--json');
    assert.equal(JSON.parse(stdout).length, mounted.length);
    for (const [file, met] of (await Promise.all(reading)).flat()) {
      assert.ok(met === 'error' || met === hashOf(contentOf(file)), `file ${file} is wrong`);
    }
    for (const met of await Promise.all(late)) assert.equal(met, hashOf(contentOf(FILES - 1)));
    for (const kind of mounted) {
      assert.deepEqual(await sums(kind), allHashes());
      assert.equal((await anole('image', 'umount', kind)).status, 0);
    }
    const log = readFileSync(join(directory, 'anole/images.log'), 'utf8');
    assert.match(log, /goes on for a keeper that was killed/);
    // A reader that is slow to let go is waited for behind the answer.
    const left = () =>
      readdirSync(join(directory, 'cache/blobs')).filter((each) => /^mounts-.*\.json$/.test(each));
    await until('nothing is noted any more', () => left().length === 0);
  });

  it('are cleared away by the next service where all processes were killed', async (test) => {
    const place = await setUp(test, published);
    const { sum, pids, holders, anole, directory } = place;
    const mounted = await mountAll(test, place);
    await until('one holder is left', () => holders().length === 1);
    const all = [...holders(), ...pids('quiet'), ...pids('kept')];
    assert.equal(all.length, 3);
    for (const pid of all) endProcess(pid);
    await until('all have ended', () => !all.some(isAlive));
    for (const kind of await mountAll(test, place)) {
      assert.equal(await sum(kind, 9), hashOf(contentOf(9)));
      assert.equal((await anole('image', 'umount', kind)).status, 0);
    }
    const left = readFileSync('/proc/self/mountinfo', 'utf8');
    for (const kind of mounted) assert.ok(!left.includes(` ${join(directory, kind)} `));
  });
});
