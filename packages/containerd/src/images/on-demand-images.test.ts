import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ImageStore, Registries } from '@anole/oci/node';
import { RegistryImages } from './on-demand-images.ts';

describe('images on demand', () => {
  it('are found again where the directory of mounts is reached by a link', async (test) => {
    const directory = mkdtempSync(join(tmpdir(), 'on-demand-'));
    test.after(() => rmSync(directory, { recursive: true }));
    mkdirSync(join(directory, 'disk'));
    symlinkSync('disk', join(directory, 'link'));
    const mounted = new Map<string, string>();
    using registries = await Registries.load();
    const images = await RegistryImages.open({
      registries,
      store: new ImageStore(join(directory, 'store')),
      platform: { os: 'linux', architecture: 'amd64' },
      directory: join(directory, 'link', 'images'),
      // As the service: it knows directories without links, and mounts once on each.
      mounter: {
        mounted: async () => [...mounted.keys()],
        usage: async () => new Map([...mounted.keys()].map((at) => [at, { size: 1, inodes: 2 }])),
        async mount(image, at) {
          assert.ok(!mounted.has(realpathSync(at)), 'it is mounted already');
          mounted.set(realpathSync(at), image);
        },
        unmount: async (at) => void mounted.delete(at),
      },
    });
    const [one, other] = ['1', '2'].map((digit) => `localhost/web@sha256:${digit.repeat(64)}`) as [
      string,
      string,
    ];
    for (const variant of [one, one, other]) await images.mount(variant);
    assert.equal(mounted.size, 2);
    assert.deepEqual(await images.usage(one), { size: 1, inodes: 2 });
    await images.unmountOthers(new Set([one]));
    assert.deepEqual([...mounted.values()], [`docker://${one}`]);
  });
});
