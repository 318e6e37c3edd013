import assert from 'node:assert/strict';
import {
  closeSync,
  fsyncSync,
  globSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { needs, sharedBySuite, until } from '../../packages/oci/src/testing/tools.ts';
import {
  allHashes,
  contentOf,
  hashOf,
  nameOf,
  noKernelMount,
  type Place,
  type Published,
  publish,
  setUp,
} from './image-world.ts';
import { endProcess } from './left-over.ts';

const LENGTH = 64;
/** Megabytes of a disk with room for whole files: there may be none on this computer's own. */
const ROOMY = 256;

/** Writes something else into a file of the image, as it lies in the cache, and makes the kernel forget the file. */
async function damage({ directory, run }: Place, file: number, mount = 'fuse'): Promise<void> {
  const part = contentOf(file).subarray(40_000, 40_000 + LENGTH);
  const places = globSync(join(directory, 'cache/blobs/blobs/*/data'))
    .map((path) => ({ path, at: readFileSync(path).indexOf(part) }))
    .filter(({ at }) => at >= 0);
  assert.equal(places.length, 1, 'the cache has the file as it is, once');
  const fd = openSync(places[0]!.path, 'r+');
  writeSync(fd, new Uint8Array(LENGTH).fill(0x55), 0, LENGTH, places[0]!.at);
  fsyncSync(fd);
  closeSync(fd);
  const script = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)`;
  const { status, stderr } = await run('python3', '-c', script, join(mount, nameOf(file)));
  assert.equal(status, 0, stderr);
}

const mountOf = async ({ ask }: Place) =>
  JSON.parse((await ask('GET', '/v1/mounts')).text).mounts[0];

describe('a cache whose bytes change while an image is mounted from it', {
  skip: needs('docker-registry', 'root', 'python3', 'mkfs.ext4'),
}, () => {
  const suite = sharedBySuite();
  let published: Published;
  before(async () => {
    published = await publish(suite, undefined, []);
  });

  const serve = async (place: Place, ...flags: readonly string[]) => {
    const serving = place.start('image', 'serve', '--quiet', ...flags);
    await until('it serves', () => serving.said.includes('"ready"'));
    return serving;
  };

  const mounted = async (test: TestContext, ...flags: readonly string[]) => {
    const place = await setUp(test, published, ROOMY);
    const serving = await serve(place, ...flags);
    assert.equal((await place.mount('fuse')).status, 0);
    assert.deepEqual(await place.sums('fuse'), allHashes());
    return { place, serving };
  };

  it('gives readers through FUSE what is right, or an error, and says so', async (test) => {
    const { place, serving } = await mounted(test);
    await damage(place, 3);
    assert.equal(await place.sum('fuse', 3), hashOf(contentOf(3)));
    assert.equal((await mountOf(place)).damaged, 1);
    assert.match(serving.said, /"damaged in the cache"/);
    await place.hurry();
    place.proxy.state.mode = 'down';
    await damage(place, 4);
    assert.equal(await place.sum('fuse', 4), 'error');
    assert.match(serving.said, /"not fetched again"/);
    assert.equal(await place.sum('fuse', 5), hashOf(contentOf(5)));
    place.proxy.release();
    assert.equal(await place.sum('fuse', 4), hashOf(contentOf(4)));
  });

  it('is read no more by the kernel where it is wrong, once that is known', {
    skip: noKernelMount,
  }, async (test) => {
    const place = await setUp(test, published, ROOMY);
    await serve(place);
    assert.equal((await place.mount('kernel')).status, 0);
    assert.deepEqual(await place.sums('kernel'), allHashes());
    const { size, present } = await mountOf(place);
    assert.equal(present, size, 'all is here: nobody waits for events any more');
    await place.hurry();
    place.proxy.state.mode = 'down';
    await damage(place, 3, 'kernel');
    await until('it is known', async () => (await mountOf(place)).damaged > 0);
    assert.equal(await place.sum('kernel', 3), 'error');
    assert.equal(await place.sum('kernel', 4), hashOf(contentOf(4)));
    place.proxy.release();
    assert.equal(await place.sum('kernel', 3), hashOf(contentOf(3)));
  });

  it('makes no whole file that is wrong, for this service or the next', async (test) => {
    const { place } = await mounted(test, '--passthrough');
    await damage(place, 3);
    const opens = async () => (await mountOf(place)).passthrough.opens;
    const pass = async () => {
      const before = await opens();
      await until('the file is passed', async () => {
        assert.equal(await place.sum('fuse', 3), hashOf(contentOf(3)));
        return (await opens()) > before;
      });
    };
    await pass();
    assert.equal((await mountOf(place)).damaged, 1);
    const whole = join(place.directory, 'cache/blobs/whole-2/content', hashOf(contentOf(3)));
    writeFileSync(whole, contentOf(4), { flag: 'r+' });
    await pass();
    assert.equal(hashOf(readFileSync(whole)), hashOf(contentOf(3)), 'it was made anew');
    assert.equal((await place.anole('image', 'umount', 'fuse')).status, 0);
    for (const pid of place.pids('quiet')) endProcess(pid, 'SIGTERM');
    await until('the service has ended', () => place.pids('quiet').length === 0);
    await serve(place, '--passthrough');
    assert.equal((await place.mount('fuse')).status, 0);
    await pass();
  });
});
