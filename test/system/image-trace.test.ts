import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { needs, sharedBySuite, until } from '../../packages/oci/src/testing/tools.ts';
import { anoleProgram } from './anole-program.ts';
import {
  contentOf,
  FILES,
  hashOf,
  mountAll,
  nameOf,
  noKernelMount,
  type Published,
  publish,
  SIZE,
  setUp,
} from './image-world.ts';
import { endProcess } from './left-over.ts';

const skip = needs('docker-registry', 'root');

describe('images of which a trace says what is read first', { skip }, () => {
  const suite = sharedBySuite();
  let published: Published;
  before(async () => {
    published = await publish(suite);
  });

  it('have first what a traced command read, and fetch it before it is read', async (test) => {
    const place = await setUp(test, published);
    const { anole, run, sum, proxy, directory } = place;
    const name = `docker://${proxy.host}/made:1`;
    const ordered = `docker://${proxy.host}/made:traced`;
    const platform = ['--platform', 'linux/amd64'];
    const wanted = [17, 4].map((file) => join('fuse', nameOf(file)));
    const trace = ['image', 'trace', ...platform, '-o', 'it.trace', name, 'fuse', '--'];
    const { status, stdout, stderr } = await anole(...trace, 'sha256sum', ...wanted);
    assert.equal(status, 0, stderr);
    assert.equal(stdout.split(' ')[0], hashOf(contentOf(17)));
    const traced = (file: string) => {
      const { reads } = JSON.parse(readFileSync(join(directory, file), 'utf8'));
      return [...new Set(reads.map(([path]: [string]) => path))];
    };
    assert.deepEqual(traced('it.trace'), [nameOf(17), nameOf(4)]);
    // Nor does it matter what form the image has.
    const plain = ['image', 'trace', ...platform, '-o', 'plain.trace', 'oci:layout:made', 'fuse'];
    const again = await anole(...plain, '--', 'sha256sum', ...wanted);
    assert.equal(again.stdout, stdout, again.stderr);
    assert.deepEqual(traced('plain.trace'), traced('it.trace'));
    const convert = ['image', 'convert', 'oci:layout:made', ordered, '-z', 'lz4'];
    assert.equal((await anole(...convert, '--trace', 'it.trace')).status, 0);
    await run('rm', '-r', 'cache/blobs');
    for (const kind of await mountAll(test, place, ordered)) {
      await place.hurry();
      const isHere = async () => {
        const { present, image } = JSON.parse((await place.ask('GET', '/v1/mounts')).text)
          .mounts[0];
        const [start, end] = image.layers[0].annotations['dev.anole.on-demand.first'].split('-');
        return present >= end - start;
      };
      await until('what was traced is here', isHere);
      proxy.state.mode = 'down';
      for (const file of [17, 4]) assert.equal(await sum(kind, file), hashOf(contentOf(file)));
      assert.equal(await sum(kind, 9), 'error');
      proxy.state.mode = 'through';
    }
  });

  it('bring what a trace names in other forms, too', async (test) => {
    const place = await setUp(test, published);
    const { anole, ask, run, sum, proxy, directory, mount } = place;
    const reads = [17, 4].map((file) => [nameOf(file), 0, SIZE]);
    writeFileSync(join(directory, 'it.trace'), JSON.stringify({ version: 1, reads }));
    for (const format of ['rafs', 'estargz']) {
      const name = `docker://${proxy.host}/made:${format}`;
      const convert = ['image', 'convert', 'oci:layout:made', name, '--format', format];
      const { status, stderr } = await anole(...convert, '--trace', 'it.trace');
      assert.equal(status, 0, stderr);
      await run('rm', '-r', '-f', 'cache/blobs');
      assert.equal((await mount('fuse', name)).status, 0);
      await until('what was traced is here', async () => {
        const { mounts } = JSON.parse((await ask('GET', '/v1/mounts')).text);
        return mounts[0].present >= 2 * SIZE;
      });
      proxy.state.mode = 'down';
      for (const file of [17, 4]) assert.equal(await sum('fuse', file), hashOf(contentOf(file)));
      proxy.state.mode = 'through';
      assert.equal((await anole('image', 'umount', 'fuse')).status, 0);
    }
  });

  it('are read by the kernel page by page until what a start reads is here, whoever serves them', {
    skip: noKernelMount,
  }, async (test) => {
    const place = await setUp(test, published);
    const { anole, sum, pids, proxy, directory, mount } = place;
    const name = `docker://${proxy.host}/made:zstd`;
    const reads = [[nameOf(7), 0, SIZE]];
    writeFileSync(join(directory, 'it.trace'), JSON.stringify({ version: 1, reads }));
    const convert = ['image', 'convert', 'oci:layout:made', name, '-z', 'zstd', '-C', '16384'];
    assert.equal((await anole(...convert, '--trace', 'it.trace')).status, 0);
    assert.equal((await mount('kernel', name)).status, 0);
    const blobs = join(directory, 'cache/blobs');
    const notes = () => readdirSync(blobs).filter((each) => /^mounts-.*\.json$/.test(each));
    const noted = () =>
      notes()
        .map((each) => readFileSync(join(blobs, each), 'utf8'))
        .join();
    const [, device, kilobytes] = /"readAhead":{"device":"([^"]+)","kilobytes":"(\d+)"/.exec(
      noted(),
    )!;
    const now = () => readFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, 'utf8').trim();
    assert.ok(Number(kilobytes) > 4);
    for (const pid of pids('kept')) endProcess(pid);
    assert.equal(await sum('kernel', 3), hashOf(contentOf(3)));
    await until('it reads ahead again', async () => now() === kilobytes);
    assert.equal((await anole('image', 'umount', 'kernel')).status, 0);
    // All is here: nothing is waited for.
    assert.equal((await mount('kernel', name)).status, 0);
    for (let file = 0; file < FILES; file++) await sum('kernel', file);
    assert.equal((await anole('image', 'umount', 'kernel')).status, 0);
    assert.equal((await mount('kernel', name)).status, 0);
    assert.doesNotMatch(noted(), /readAhead/);
  });

  it('are traced by who is not root', async (test) => {
    const place = await setUp(test, published);
    const { run, directory } = place;
    const user = join(directory, 'user');
    mkdirSync(join(user, 'mnt'), { recursive: true });
    const image = `docker://${place.proxy.host}/made:1`;
    const trace = ['image', 'trace', '--platform', 'linux/amd64', '-o', 'it.trace', image, 'mnt'];
    // /dev/fuse is open to all on most computers; here it is made so for this command only.
    const script = `mknod -m 666 "$1/device" c 10 229 && mount --bind "$1/device" /dev/fuse &&
      chmod 755 "$1" && chown -R 65534:65534 "$1/user" && cd "$1/user" && shift && exec "$@"`;
    const asNobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
    const own = ['env', `HOME=${user}`, `ANOLE_CACHE=${user}/cache`, `TMPDIR=${user}`];
    const command = [process.execPath, anoleProgram, ...trace, '--', 'sha256sum'];
    const shell = ['unshare', '--mount', 'sh', '-c', script, 'sh', directory];
    const [first, ...rest] = [...shell, ...asNobody, ...own, ...command, `mnt/${nameOf(7)}`];
    const { stdout, stderr } = await run(first!, ...rest);
    assert.equal(stdout.split(' ')[0], hashOf(contentOf(7)), stderr);
    const { reads } = JSON.parse(readFileSync(join(user, 'it.trace'), 'utf8'));
    assert.deepEqual([...new Set(reads.map(([path]: [string]) => path))], [nameOf(7)]);
  });
});
