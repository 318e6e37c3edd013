import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs, sharedBySuite } from '../../packages/oci/src/testing/tools.ts';
import {
  allHashes,
  contentOf,
  FILES,
  hashOf,
  kinds,
  mountAll,
  type Place,
  setUp,
} from './image-world.ts';
import { endProcess } from './left-over.ts';

/** What holds where nobody has said anything. */
const usual = { quota: null, rate: null, retries: 5, stall: 30_000 };

describe('the service of images', { skip: needs('docker-registry', 'root') }, () => {
  const suite = sharedBySuite();
  let place: Place;
  before(async () => {
    place = await setUp(suite);
  });

  const ask = (method: string, path: string, body?: object) => place.ask(method, path, body);
  const json = async (method: string, path: string, body?: object) =>
    JSON.parse((await ask(method, path, body)).text);
  const isBack = async () => {
    while ((await ask('GET', '/healthz').catch(() => undefined))?.status !== 200) await sleep(50);
  };

  it('is given logins and limits while it runs, and its successor has them', async (test) => {
    const { anole, run, pids, proxy, sum, directory } = place;
    const closed = await startRegistry(test, { login: true });
    const image = `docker://${closed}/made:1`;
    const login = { host: closed, username: 'somebody', password: 'secret' };
    const file = join(directory, '.docker/config.json');
    mkdirSync(join(directory, '.docker'));
    const auth = Buffer.from('somebody:secret').toString('base64');
    writeFileSync(file, JSON.stringify({ auths: { [closed]: { auth } } }));
    const copied = await anole('image', 'copy', `docker://${proxy.host}/made:1`, image);
    assert.equal(copied.status, 0, copied.stderr);
    rmSync(file);
    const mount = () =>
      anole('image', 'mount', '--platform', 'linux/amd64', '--kind', 'fuse', image, 'fuse');
    assert.match((await mount()).stderr, /OCI_UNAUTHORIZED/);
    assert.deepEqual(await json('PUT', '/v1/logins', login), {});
    assert.equal((await mount()).status, 0);
    assert.equal(await sum('fuse', 3), hashOf(contentOf(3)));
    const limits = { quota: 1e9, rate: 300_000 };
    assert.deepEqual(await json('PUT', '/v1/limits', limits), { ...usual, ...limits });
    const [service] = pids('kept');
    endProcess(service!);
    // The login is the keeper's to give: there is none in any file.
    assert.equal(await sum('fuse', 9), hashOf(contentOf(9)));
    await isBack();
    assert.notDeepEqual(pids('kept'), [service]);
    assert.deepEqual(await json('GET', '/v1/limits'), { ...usual, ...limits });
    assert.deepEqual((await json('GET', '/v1/logins')).logins, [
      { host: closed, username: 'somebody' },
    ]);
    const { text } = await ask('GET', '/metrics');
    assert.match(text, /^anole_image_rate_limit_bytes 300000$/m);
    assert.match(
      text,
      new RegExp(`^anole_image_backend_bytes_total{backend="${closed}"} [1-9]`, 'm'),
    );
    const before = performance.now();
    // What was read ahead of the former file must not be it.
    await run('sha256sum', 'fuse/data/file-20', 'fuse/data/file-15', 'fuse/data/file-12');
    assert.ok(performance.now() - before > 900, 'a rate of 300 KB/s holds for 900 KB');
    assert.deepEqual(await json('PUT', '/v1/limits', { rate: null }), { ...usual, quota: 1e9 });
    const figures = (await json('GET', '/v1/back-ends')).backEnds;
    assert.equal(figures[0].name, closed);
    assert.equal(figures[0].failures, 0);
    for (const wrong of [
      { rate: 0 },
      { quota: -1 },
      { retries: 101 },
      { stall: 0 },
      { speed: 1 },
      { quota: '1' },
    ]) {
      assert.equal((await ask('PUT', '/v1/limits', wrong)).status, 422);
    }
    assert.equal((await ask('PUT', '/v1/logins', { host: 'h', username: 1 })).status, 422);
    await json('DELETE', `/v1/logins?host=${encodeURIComponent(closed)}`);
    assert.deepEqual((await json('GET', '/v1/logins')).logins, []);
    assert.equal((await anole('image', 'umount', 'fuse')).status, 0);
  });

  it('makes room for a newer program on SIGHUP, and no reader sees an error', async (test) => {
    const { sum, pids, anole, directory } = place;
    rmSync(join(directory, 'cache/blobs/blobs'), { recursive: true, force: true });
    const mounted = await mountAll(test, place);
    const limits = { rate: 50_000_000, retries: 7, stall: 20_000 };
    assert.deepEqual(await json('PUT', '/v1/limits', { ...limits, quota: null }), {
      ...usual,
      ...limits,
    });
    assert.deepEqual(
      await json('PUT', '/v1/logins', { host: 'h', username: 'u', password: 'p' }),
      {},
    );
    const [keeper, service] = [pids('quiet'), pids('kept')];
    const reading = mounted.map((kind) =>
      Promise.all(Array.from({ length: FILES }, (_, file) => sum(kind, file))),
    );
    await sleep(40);
    process.kill(keeper[0]!, 'SIGHUP');
    const expected = allHashes();
    const met = await Promise.all(reading);
    await isBack();
    const log = readFileSync(join(directory, 'anole/images.log'), 'utf8');
    for (const [at, sums] of met.entries())
      assert.deepEqual(sums, expected, `${mounted[at]}: ${log}`);
    assert.deepEqual(pids('quiet'), keeper, 'it is the same process to who watches it');
    assert.notDeepEqual(pids('kept'), service);
    assert.equal((await json('GET', '/v1/mounts')).mounts.length, mounted.length);
    assert.deepEqual(
      await json('GET', '/v1/limits'),
      { ...usual, ...limits },
      'what was given over the socket stays',
    );
    assert.deepEqual((await json('GET', '/v1/logins')).logins, [{ host: 'h', username: 'u' }]);
    assert.match(log, /"yields to the next service".*\n(?:.*\n)*.*"goes on for a keeper/);
    for (const kind of kinds.filter((each) => mounted.includes(each))) {
      assert.equal((await anole('image', 'umount', kind)).status, 0);
    }
  });
});
