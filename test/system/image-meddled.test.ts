import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { needs, sharedBySuite, until } from '../../packages/oci/src/testing/tools.ts';
import {
  contentOf,
  hashOf,
  kinds,
  mountAll,
  type Place,
  type Published,
  publish,
  setUp,
} from './image-world.ts';
import { endProcess, mountsBelow } from './left-over.ts';

const skip = needs('docker-registry', 'root');

describe('mounted images that others meddle with', { skip }, () => {
  const suite = sharedBySuite();
  let published: Published;
  before(async () => {
    published = await publish(suite);
  });

  const logOf = ({ directory }: Place) => readFileSync(join(directory, 'anole/images.log'), 'utf8');

  const mountsOf = async ({ ask }: Place): Promise<readonly { readonly directory: string }[]> =>
    JSON.parse((await ask('GET', '/v1/mounts')).text).mounts;

  it('are mounted once, whoever asks for the same directory at once', async (test) => {
    const place = await setUp(test, published);
    const { ask, anole, directory, proxy } = place;
    for (const kind of await mountAll(test, place)) {
      const at = join(directory, kind);
      assert.equal((await anole('image', 'umount', kind)).status, 0);
      const body = {
        image: `docker://${proxy.host}/made:1`,
        platform: 'linux/amd64',
        directory: at,
        kind,
      };
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => ask('POST', '/v1/mounts', body)),
      );
      const codes = answers.map(({ text }) => JSON.parse(text).error?.code);
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
      assert.equal(codes.filter((code) => code === 'HOST_EXISTS').length, 9, codes.join(' '));
      assert.deepEqual(mountsBelow(at), [at]);
      assert.equal((await anole('image', 'umount', kind)).status, 0);
      assert.deepEqual(mountsBelow(at), []);
      assert.match((await anole('image', 'umount', kind)).stderr, /HOST_NOT_FOUND/);
    }
  });

  it('are forgotten where umount(8) took them, and fetched no further', async (test) => {
    const place = await setUp(test, published);
    const { run, anole, mount, sum, proxy, pids, directory } = place;
    const mounted = await mountAll(test, place);
    for (const kind of mounted) {
      assert.equal((await run('umount', kind)).status, 0);
      assert.ok(!(await mountsOf(place)).some((each) => each.directory.endsWith(kind)), kind);
      const again = await mount(kind);
      assert.equal(again.status, 0, again.stderr);
      assert.equal(await sum(kind, 3), hashOf(contentOf(3)));
      assert.equal((await run('umount', kind)).status, 0);
      const { status, stderr } = await anole('image', 'umount', kind);
      assert.equal(status, 0, stderr);
      assert.equal((await mount(kind)).status, 0);
      assert.equal((await run('umount', kind)).status, 0);
    }
    const before = proxy.state.bytes;
    for (const pid of pids('quiet')) endProcess(pid, 'SIGTERM');
    await until('the service ends', () => pids('quiet').length + pids('kept').length === 0);
    assert.equal(proxy.state.bytes, before, 'nothing is fetched for what nobody has');
    assert.match(logOf(place), /"event":"unmounted by somebody else"/);
    assert.doesNotMatch(logOf(place), /left mounted/);
    assert.deepEqual(mountsBelow(directory), []);
  });

  it('stay where something else is mounted over them', async (test) => {
    const place = await setUp(test, published);
    const { run, anole, sum } = place;
    for (const kind of await mountAll(test, place)) {
      assert.equal((await run('mount', '-t', 'tmpfs', 'over', kind)).status, 0);
      assert.match((await anole('image', 'umount', kind)).stderr, /mounted over.*HOST_IO/s);
      assert.equal((await run('umount', kind)).status, 0);
      assert.equal(await sum(kind, 4), hashOf(contentOf(4)));
      assert.equal((await anole('image', 'umount', kind)).status, 0);
    }
  });

  it('are unmounted by any spelling of their directory', async (test) => {
    const place = await setUp(test, published);
    const { directory, anole, ask, mount } = place;
    const [kind] = kinds as [string];
    mkdirSync(join(directory, 'other'));
    symlinkSync(`../${kind}`, join(directory, 'other/link'));
    assert.equal((await mount(kind)).status, 0);
    const { status, stderr } = await anole('image', 'umount', 'other/link');
    assert.equal(status, 0, stderr);
    assert.equal((await mount(kind)).status, 0);
    const query = new URLSearchParams({ directory: `${join(directory, kind)}/` });
    assert.equal((await ask('DELETE', `/v1/mounts?${query}`)).status, 200);
    assert.deepEqual(mountsBelow(directory), []);
  });
});
