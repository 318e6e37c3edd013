import assert from 'node:assert/strict';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { needs, sharedBySuite, until } from '../../packages/oci/src/testing/tools.ts';
import {
  contentOf,
  FILES,
  hashOf,
  kinds,
  mountAll,
  nameOf,
  type Place,
  type Published,
  publish,
  setUp,
} from './image-world.ts';
import { endProcess, mountsBelow } from './left-over.ts';

describe('what the service of images says and lets be done', {
  skip: needs('docker-registry', 'root'),
}, () => {
  const suite = sharedBySuite();
  let published: Published;
  before(async () => {
    published = await publish(suite);
  });

  const linesOf = ({ directory }: Place): readonly Record<string, unknown>[] =>
    readFileSync(join(directory, 'anole/images.log'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));

  it('are errors of readers: once in the log, each in the metrics, with why in /healthz', async (test) => {
    const place = await setUp(test, published);
    const { ask, sum, proxy, hurry, directory } = place;
    const mounted = await mountAll(test, place);
    await hurry();
    assert.deepEqual(await ask('GET', '/healthz'), { status: 200, text: 'ok\n' });
    proxy.state.mode = 'down';
    for (const kind of mounted) {
      for (let turn = 0; turn < 3; turn++) assert.equal(await sum(kind, FILES - 1), 'error');
    }
    const { status, text } = await ask('GET', '/healthz');
    assert.equal(status, 503);
    assert.match(text, /^back end localhost:\d+ fails since .*: .+\n$/);
    const refused = linesOf(place).filter(({ event }) => event === 'refused');
    for (const kind of mounted) {
      const at = join(directory, kind);
      const lines = refused.filter((line) =>
        kind === 'fuse' ? line['directory'] === at : line['blob'],
      );
      assert.equal(lines.length, 1, `${kind}: ${JSON.stringify(lines)}`);
      assert.ok(String(lines[0]!['reason']).length > 10);
      if (kind === 'fuse') assert.equal(lines[0]!['path'], nameOf(FILES - 1));
    }
    const metrics = (await ask('GET', '/metrics')).text;
    for (const kind of mounted) {
      const line = new RegExp(
        `^anole_image_reader_errors_total\\{.*kind="${kind}".*\\} (\\d+)$`,
        'm',
      );
      assert.ok(Number(line.exec(metrics)?.[1]) >= 3, metrics);
    }
    proxy.state.mode = 'through';
    assert.equal(await sum(mounted[0]!, 3), hashOf(contentOf(3)));
    await until('all is well', async () => (await ask('GET', '/healthz')).status === 200);
  });

  it('is not what it cannot do: other methods, other paths', async (test) => {
    const place = await setUp(test, published);
    const { ask, mount } = place;
    assert.equal((await mount(kinds[0]!)).status, 0);
    assert.equal((await ask('PATCH', '/v1/mounts')).status, 405);
    assert.equal((await ask('GET', '//')).status, 404);
    assert.equal((await ask('GET', '/constructor')).status, 404);
  });

  it('are no rights of files, unless they are asked for, and nobody else may look into the cache', async (test) => {
    const place = await setUp(test, published);
    const { anole, proxy, directory, pids } = place;
    const image = `docker://${proxy.host}/made:1`;
    const optionsOf = (kind: string) => {
      const table = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
      return table.find((line) => line.split(' ')[4] === join(directory, kind))?.split(' ')[5];
    };
    for (const kind of await mountAll(test, place)) {
      assert.match(optionsOf(kind)!, /^ro,nosuid,nodev/);
      assert.equal((await anole('image', 'umount', kind)).status, 0);
      const words = [
        'image',
        'mount',
        '--platform',
        'linux/amd64',
        '--kind',
        kind,
        '--suid',
        '--dev',
      ];
      assert.equal((await anole(...words, image, kind)).status, 0);
      assert.doesNotMatch(optionsOf(kind)!, /nosuid|nodev/);
      assert.equal((await anole('image', 'umount', kind)).status, 0);
    }
    const cache = join(directory, 'cache/blobs');
    assert.equal(statSync(cache).mode & 0o777, 0o700);
    for (const pid of pids('quiet')) endProcess(pid, 'SIGTERM');
    await until('the service ends', () => pids('quiet').length + pids('kept').length === 0);
    chmodSync(cache, 0o755);
    assert.equal((await place.mount(kinds[0]!)).status, 0);
    assert.equal(statSync(cache).mode & 0o777, 0o700);
  });

  it('is undone where who asked for it has gone', async (test) => {
    const place = await setUp(test, published);
    const { ask, mount, anole, proxy, directory } = place;
    const [kind] = kinds as [string];
    assert.equal((await mount(kind)).status, 0);
    assert.equal((await anole('image', 'umount', kind)).status, 0);
    await ask('POST', '/v1/cache/evict?quota=0');
    proxy.state.mode = 'slow';
    const socketPath = join(directory, 'anole/images.sock');
    const asked = httpRequest({ socketPath, method: 'POST', path: '/v1/mounts' });
    asked.on('error', () => {});
    const body = { image: `docker://${proxy.host}/made:1`, platform: 'linux/amd64', kind };
    asked.end(JSON.stringify({ ...body, directory: join(directory, kind) }));
    await until('it is under way', () => proxy.state.slow.length > 0);
    asked.destroy();
    // The service learns of it in its own time.
    await ask('GET', '/v1/mounts');
    proxy.release();
    const again = await mount(kind);
    assert.equal(again.status, 0, `in its turn, after the other was undone: ${again.stderr}`);
    assert.deepEqual(mountsBelow(directory), [join(directory, kind)]);
  });
});
