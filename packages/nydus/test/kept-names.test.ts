import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import { MountFlag, mount, PreContentGroup } from '@anole/host/native';
import { type LayerIndex, mediaTypes } from '@anole/oci';
import { MemoryTree, type TarMember } from '@anole/vfs';
import { noPreContent } from '../../host/test/tools.ts';
import { tarOf } from '../../oci/src/testing/images.ts';
import { temporary } from '../../oci/src/testing/tools.ts';
import { BlobCache } from '../src/node/cache/cache.ts';
import { BlobPool } from '../src/node/on-demand/blob-pool.ts';
import { layerDevice } from '../src/node/on-demand/layer-device.ts';
import { openOnDemand } from '../src/node/on-demand/open.ts';
import { ImageService } from '../src/node/service/service.ts';

// What is here was written down from the service of before: who changes it leaves mounts that nobody fills.

const skip = await noPreContent();
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
const digests = [sha256('one'), sha256('two')] as const;
const stored = memorySource(new Uint8Array(2500));
const member = (name: string, dataOffset: number, storedSize: number): TarMember => ({
  name,
  path: name,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  userName: '',
  groupName: '',
  mtime: { seconds: 0, nanoseconds: 0 },
  size: storedSize,
  target: '',
  xattrs: new Map(),
  pax: new Map(),
  headerOffset: dataOffset - 512,
  dataOffset,
  storedSize,
});
const indexes: Readonly<Record<string, Partial<LayerIndex>>> = {
  gzip: {
    gzip: {
      span: 4096,
      compressedSize: 2500,
      size: 10_000,
      checkpoints: [
        { in: 10, out: 0, bits: 0, window: new Uint8Array(0) },
        { in: 1200, out: 5000, bits: 3, window: new Uint8Array(5000).fill(7) },
      ],
      digests,
    },
  },
  plain: { plain: { span: 5000, digests } },
  parts: {
    parts: {
      spans: [
        { out: 0, start: 100, end: 1000, digest: digests[0] },
        { out: 5000, start: 1000, end: 2400, inner: 77, storedDigest: digests[1] },
      ],
      decode: () => assert.fail('nothing is read'),
    },
  },
};
const names: Readonly<Record<string, string>> = {
  gzip: '4d72c854161b73a6382182e76cc170d13074990d9677fbc7c4343a0a5d5a3286',
  plain: 'd32c323c32e6d46bd36ad309ecada50ba681ce0f6f719fbf1a7731f844ed6a27',
  parts: '6a1319d442af28f08806ef64ee329f55221d55d11e15c1811fd46de37f18900e',
};
/** Of the image below, with a UUID made of its inodes, and with one of what the image is made of. */
const formerMetadata = '5e105c902c83426c441881451e99c6c1a9f10378b496caebf6ce3fd5b8205d0e made';
const metadata = '9ed9c5728de21ec18e95ebe97398171b0afc3ca0ed86f7d0cf6b2d5b5510afa0 made';

/** An image of one layer, which is not compressed. */
async function made() {
  const tree = new MemoryTree();
  tree.putFile('etc/motd', Buffer.from('hello\n'), {
    mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
  });
  tree.putSymlink('motd', 'etc/motd');
  const tar = await tarOf(tree);
  const layer = { mediaType: mediaTypes.layer, digest: `sha256:${sha256(tar)}`, size: tar.length };
  return {
    reference: { name: 'it', layers: [layer], anyIndex: true },
    source: () => memorySource(tar),
  };
}

describe('what the next service finds again', () => {
  for (const [kind, index] of Object.entries(indexes)) {
    it(`is the file of a layer, by the same name: ${kind}`, () => {
      const members = [member('a', 512, 4000), member('b', 5120, 3000)];
      const all = { members, compressedSize: 2500, size: 10_000, ...index };
      const { id } = layerDevice(all, 'sha256:layer', stored).remote;
      assert.equal(id, `sha256:layer ${names[kind]}`);
    });
  }

  it('is the metadata of an image, with the UUID that it was mounted with', async (test) => {
    const { reference, source } = await made();
    const directory = temporary(test);
    const opened = async (inherited: ReadonlyMap<string, number>) => {
      const pool = new BlobPool(new BlobCache(join(directory, 'cache')), inherited);
      const image = await openOnDemand(reference, { source }, pool);
      await image.close();
      await pool.letGo();
      return image.blobs[0]!.id;
    };
    const file = (id: string) => new Map([[id, openSync(join(directory, 'file'), 'w+')]]);
    assert.equal(await opened(new Map()), metadata);
    assert.equal(await opened(file(metadata)), metadata);
    assert.equal(await opened(file(formerMetadata)), formerMetadata);
    assert.equal(await opened(file('of another image')), metadata);
  });

  it('is no other file than the kernel has mounted', { skip }, async (test) => {
    const { reference, source } = await made();
    const cache = temporary(test);
    const fd = openSync(join(cache, 'file'), 'w+');
    const group = new PreContentGroup(cache).fd;
    const directory = join(cache, 'point');
    const mounts = [{ directory, kind: 'kernel', image: reference, since: 0 } as const];
    const keeper = { keep: async () => assert.fail(), release: () => assert.fail() };
    const failures: unknown[] = [];
    const onStranded = (_: unknown, error: unknown) => void failures.push(error);
    const options = { cache, blobs: () => ({ source }), keeper, group, onStranded };
    const descriptors = new Map([['file of before', fd]]);
    const service = await ImageService.start(options, { mounts, descriptors });
    assert.deepEqual(service.mounts, mounts);
    assert.match(String(failures[0]), /has left no file of/);
    assert.ok(AnoleError.is(failures[0]) && failures[0].code === 'HOST_NOT_FOUND');
    assert.equal(fstatSync(fd).size, 0, 'the file of before is held for who comes next');
    await assert.rejects(service.close(), { code: 'HOST_IO' });
    await service.yield();
    closeSync(fd);
  });

  it('is let go once nobody waits for it any more', { skip }, async (test) => {
    const { reference } = await made();
    const cache = temporary(test);
    const directory = join(cache, 'point');
    mkdirSync(directory);
    mount('none', directory, 'tmpfs', MountFlag.readOnly);
    const file = openSync(join(cache, 'file'), 'w+');
    const device = openSync('/dev/null', 'r');
    const mounts = [{ directory, kind: 'fuse', image: reference, since: 0 } as const];
    const released: string[] = [];
    const keeper = {
      keep: async () => assert.fail(),
      release: (name: string) => void released.push(name),
    };
    const away = () => {
      throw new Error('the registry is away');
    };
    const descriptors = new Map([
      ['file of before', file],
      [`fuse 0 ${directory}`, device],
    ]);
    const service = await ImageService.start(
      { cache, blobs: away, keeper },
      { mounts, descriptors },
    );
    assert.deepEqual(service.mounts, mounts);
    assert.equal(fstatSync(file).size, 0, 'who is still to come may need it');
    await service.unmount(directory);
    assert.deepEqual(service.mounts, []);
    assert.deepEqual(released, [`fuse 0 ${directory}`, `open 0 ${directory}`]);
    for (const fd of [file, device]) assert.throws(() => fstatSync(fd), { code: 'EBADF' });
    await service.close();
  });
});
