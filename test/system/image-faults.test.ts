import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { needs, sharedBySuite, until } from '../../packages/oci/src/testing/tools.ts';
import {
  allHashes,
  contentOf,
  FILES,
  hashOf,
  mountAll,
  nameOf,
  type Place,
  type Published,
  publish,
  setUp,
} from './image-world.ts';
import { commandOf, endProcess, isAlive } from './left-over.ts';

/** Counters of all mounts together. */
async function counted({ ask }: Place, name: 'damaged' | 'unstored' | 'fetched'): Promise<number> {
  const { mounts } = JSON.parse((await ask('GET', '/v1/mounts')).text);
  return mounts.reduce((sum: number, each: Record<typeof name, number>) => sum + each[name], 0);
}

const logOf = ({ directory }: Place) => readFileSync(join(directory, 'anole/images.log'), 'utf8');

/** Takes all room of the cache's disk, until it is called. */
function fillUp({ directory }: Place): () => void {
  const filler = join(directory, 'cache/filler');
  const { status } = spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k'], {
    stdio: 'ignore',
  });
  assert.equal(status, 1, 'the disk is full');
  return () => rmSync(filler);
}

describe('faults of what mounted images stand on', {
  skip: needs('docker-registry', 'root', 'mkfs.ext4', 'qemu-img'),
}, () => {
  const suite = sharedBySuite();
  let published: Published;
  before(async () => {
    published = await publish(suite);
  });

  it('tokens that end while an image is read are renewed; without one, readers get errors', async (test) => {
    const place = await setUp(test, published);
    const { sum, proxy } = place;
    const tokens = { uses: 2, isRefused: false, issued: 0, left: 0 };
    proxy.state.tokens = tokens;
    const mounted = await mountAll(test, place);
    await place.hurry();
    // From the last to the first: what is read ahead of one must not be the next.
    let file = FILES - 1;
    for (const kind of mounted) {
      const before = tokens.issued;
      for (let turn = 0; turn < 3; turn++, file -= 3) {
        assert.equal(await sum(kind, file), hashOf(contentOf(file)));
      }
      assert.ok(tokens.issued > before, 'a token has ended');
      Object.assign(tokens, { left: 0, isRefused: true });
      assert.equal(await sum(kind, file), 'error');
      tokens.isRefused = false;
      assert.equal(await sum(kind, file), hashOf(contentOf(file)));
      file -= 3;
    }
    if (mounted.includes('kernel')) assert.match(logOf(place), /"refused".*Cannot log in to/);
  });

  it('a registry that is slow: who reads from it waits, nobody else does, and not for ever', async (test) => {
    const place = await setUp(test, published);
    const { sum, ask, proxy, directory } = place;
    const isSlow = async () => {
      while (proxy.state.slow.length === 0) await sleep(5);
    };
    let file = FILES - 1;
    for (const kind of await mountAll(test, place)) {
      const here = file;
      assert.equal(await sum(kind, here), hashOf(contentOf(here)));
      // Apart: what is read ahead of one must not be the next.
      file -= 3;
      proxy.state.mode = 'slow';
      const waiting = sum(kind, file);
      await isSlow();
      assert.equal(await sum(kind, here), hashOf(contentOf(here)), 'what has come does not wait');
      assert.equal((await ask('GET', '/healthz')).status, 200);
      proxy.release();
      assert.equal(await waiting, hashOf(contentOf(file)));
      file -= 3;
      proxy.state.mode = 'slow';
      const killed = spawn('cat', [join(directory, kind, nameOf(file))], { stdio: 'ignore' });
      await isSlow();
      killed.kill('SIGKILL');
      await once(killed, 'exit');
      proxy.release();
      assert.equal(await sum(kind, file), hashOf(contentOf(file)));
      file -= 3;
      const limits = { retries: 0, stall: 300 };
      assert.equal((await ask('PUT', '/v1/limits', limits)).status, 200);
      proxy.state.mode = 'slow';
      assert.equal(await sum(kind, file), 'error');
      await ask('PUT', '/v1/limits', { retries: null, stall: null });
      proxy.release();
      assert.equal(await sum(kind, file), hashOf(contentOf(file)));
      file -= 3;
      if (kind === 'kernel') assert.match(logOf(place), /"refused".*silent for 300 ms/);
    }
  });

  it('a service that hangs: who reads waits and sees no zeros, until another service goes on', async (test) => {
    const place = await setUp(test, published);
    const { sum, sums, pids, proxy } = place;
    const mounted = await mountAll(test, place);
    const [hanging] = pids('kept');
    // What the service has been asked for before it hangs, and what it is asked for then.
    proxy.state.mode = 'slow';
    const asked = mounted.map((kind) => sum(kind, 3));
    await until('it fetches', () => proxy.state.slow.length >= 1);
    process.kill(hanging!, 'SIGSTOP');
    proxy.release();
    const waiting = mounted.map((kind) => sum(kind, FILES - 3));
    let read = 0;
    for (const reading of [...asked, ...waiting]) void reading.then(() => read++);
    await until('its keeper ends it', () => {
      const isThere = isAlive(hanging!);
      if (isThere) assert.equal(read, 0, 'nobody reads what has not come');
      return !isThere;
    });
    for (const met of await Promise.all(asked)) {
      assert.ok(met === 'error' || met === hashOf(contentOf(3)), met);
    }
    for (const met of await Promise.all(waiting)) assert.equal(met, hashOf(contentOf(FILES - 3)));
    assert.match(logOf(place), /"service does not answer, ending it"/);
    for (const kind of mounted) assert.deepEqual(await sums(kind), allHashes());
  });

  it('a full disk: what must be on it is an error, all else is read from memory', async (test) => {
    const place = await setUp(test, published, 16);
    const { sum, sums, run, directory } = place;
    const mounted = await mountAll(test, place);
    const name = `docker://${place.proxy.host}/made:1`;
    const web = ['--socket', './other.sock', '--nbd', './web.sock', `web=${name}`];
    const exporting = place.start('image', 'serve', '--quiet', ...web);
    await until('it serves', () => exporting.said.includes('"ready"'));
    // Opens it while there is room.
    const uri = `nbd+unix:///web?socket=${join(directory, 'web.sock')}`;
    assert.equal((await run('qemu-img', 'info', uri)).status, 0);
    // In the process of a command, without the service.
    mkdirSync(join(directory, 'own'));
    const trace = ['image', 'trace', '--platform', 'linux/amd64', '-o', 'it.trace', name, 'own'];
    const reading = `while [ ! -e go ]; do sleep 0.05; done; sha256sum own/${nameOf(9)}`;
    const traced = place.start(...trace, '--', 'sh', '-c', `echo opened; ${reading}`);
    await until('it has begun', () => traced.said.includes('opened'));
    const makeRoom = fillUp(place);
    if (mounted.includes('kernel')) {
      assert.equal(await sum('kernel', 20), 'error');
      assert.match(logOf(place), /"refused".*the disk does not take what was fetched/);
    }
    assert.deepEqual(await sums('fuse'), allHashes());
    assert.ok((await counted(place, 'unstored')) > 0);
    const copied = await run('qemu-img', 'convert', '-O', 'raw', uri, 'copy');
    assert.equal(copied.status, 0, copied.stderr);
    mkdirSync(join(directory, 'here'));
    assert.equal((await run('mount', '-t', 'erofs', '-o', 'ro,loop', 'copy', 'here')).status, 0);
    assert.deepEqual(await sums('here'), allHashes());
    writeFileSync(join(directory, 'go'), '');
    await once(traced.child, 'close');
    assert.ok(traced.said.includes(hashOf(contentOf(9))), traced.said);
    makeRoom();
    for (const kind of mounted) assert.deepEqual(await sums(kind), allHashes());
  });

  it('a power cut that loses what was not synced: it is fetched again', async (test) => {
    const place = await setUp(test, published, 32);
    const { sum, sums, run, pids, holders, directory } = place;
    const mounted = await mountAll(test, place);
    for (const kind of mounted) assert.equal(await sum(kind, 3), hashOf(contentOf(3)));
    assert.equal((await run('sync', '--file-system', 'cache')).status, 0);
    for (const kind of mounted) assert.deepEqual(await sums(kind), allHashes());
    // The map reaches the disk, of the data what happens to.
    const maps = globSync(join(directory, 'cache/blobs/blobs/*/map'));
    assert.equal((await run('sync', ...maps)).status, 0);
    assert.equal((await run('cp', 'disk', 'after')).status, 0);
    for (const pid of [...holders(), ...pids('quiet'), ...pids('kept')]) endProcess(pid);
    for (const at of [...mounted, 'cache']) await run('umount', '--lazy', at);
    assert.equal((await run('mount', '-o', 'loop', 'after', 'cache')).status, 0);
    for (const kind of await mountAll(test, place)) assert.deepEqual(await sums(kind), allHashes());
    assert.ok((await counted(place, 'damaged')) > 0, 'the map promised more than there was');
  });

  it('a command that reads in its own process and is killed leaves nothing wrong', async (test) => {
    const place = await setUp(test, published);
    const { run, sums, directory } = place;
    mkdirSync(join(directory, 'own'));
    const image = `docker://${place.proxy.host}/made:1`;
    const trace = ['image', 'trace', '--platform', 'linux/amd64', '-o', 'it.trace', image, 'own'];
    for (const patience of [20, 60, 180]) {
      const reading = 'echo begins; cat own/data/* > /dev/null';
      const started = place.start(...trace, '--', 'sh', '-c', reading);
      const ended = once(started.child, 'exit');
      while (!started.said.includes('begins')) await sleep(5);
      await sleep(patience);
      started.child.kill('SIGKILL');
      await ended;
      await run('umount', '--lazy', 'own');
    }
    for (const kind of await mountAll(test, place)) assert.deepEqual(await sums(kind), allHashes());
  });

  it('two services over one cache know nothing of each other, also where they are killed', async (test) => {
    const place = await setUp(test, published);
    const { ask, anole, sum, sums, pids, directory } = place;
    const [kind] = await mountAll(test, place);
    const other = place.start('image', 'serve', '--quiet', '--socket', './other.sock');
    await until('the other one serves', () => other.said.includes('"ready"'));
    const point = join(directory, 'other');
    mkdirSync(point);
    const image = `docker://${place.proxy.host}/made:1`;
    const request = { image, directory: point, kind: 'fuse', platform: 'linux/amd64' };
    const made = await ask('POST', '/v1/mounts', request, 'other.sock');
    assert.equal(made.status, 200, made.text);
    const kill = (all: readonly number[], other: boolean) => {
      const commands = all.map((pid) => ({ pid, command: commandOf(pid) }));
      const chosen = commands.filter(({ command }) => command.includes('other.sock') === other);
      // Nothing is left of the command of one that is being killed already.
      assert.ok(chosen.some(({ command }) => command !== ''));
      for (const { pid } of chosen) endProcess(pid);
    };
    const reading = [kind!, 'other'].map((at) =>
      Promise.all(Array.from({ length: FILES }, (_, file) => sum(at, file))),
    );
    await sleep(40);
    kill(pids('kept'), true);
    kill(pids('kept'), false);
    for (const [file, met] of (await Promise.all(reading)).flatMap((all) => [...all.entries()])) {
      assert.ok(met === 'error' || met === hashOf(contentOf(file)), `file ${file} is wrong`);
    }
    kill([...pids('quiet'), ...pids('kept')], false);
    assert.deepEqual(await sums('other'), allHashes());
    // Starts the first again, which has its own mounts and not those of the other.
    const { stdout } = await anole('image', 'mounts', '--json');
    const directories = JSON.parse(stdout).map((each: { directory: string }) => each.directory);
    assert.ok(directories.includes(join(directory, kind!)) && !directories.includes(point), stdout);
    assert.deepEqual(await sums(kind!), allHashes());
    const { text } = await ask('GET', '/v1/mounts', undefined, 'other.sock');
    assert.deepEqual(
      JSON.parse(text).mounts.map((each: { directory: string }) => each.directory),
      [point],
    );
  });
});
