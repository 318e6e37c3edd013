import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { writeErofs } from '@anole/erofs';
import { Sandbox, type Volume } from '@anole/sandbox';
import { MemoryTree, writeTar } from '@anole/vfs';
import { output } from './in-sandbox.ts';

const directory = mkdtempSync(join(tmpdir(), 'anole-image-volume-'));
const at = (name: string) => join(directory, name);
after(() => rmSync(directory, { recursive: true }));

/** Several ranges of the window, and a part of a page. */
const large = Uint8Array.from({ length: 0xc0_0000 + 12_345 }, (_, at) => (at * 7) ^ (at >>> 9));
const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function tree(): MemoryTree {
  const made = new MemoryTree();
  made.putFile('large', large);
  made.putFile('deep/small', new TextEncoder().encode('of the image\n'));
  made.putSymlink('link', 'deep/small');
  made.putDirectory('inner');
  made.putLink('other/name', 'deep/small');
  return made;
}

async function save(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk.slice());
  writeFileSync(path, Buffer.concat(all));
}

const options = { memoryMiB: 192 };
const withVolumes = (...volumes: readonly Volume[]) =>
  Sandbox.create('os:base', { ...options, volumes });

describe('an image as a volume', () => {
  let sandbox: Sandbox;
  before(async () => {
    await save(at('data.erofs'), await writeErofs(tree()));
    await save(at('data.tar'), writeTar(tree()));
    mkdirSync(at('host'));
    writeFileSync(join(at('host'), 'name'), 'of the host\n');
    sandbox = await withVolumes(
      { host: at('data.erofs'), guest: '/data' },
      { host: at('host'), guest: '/data/inner' },
    );
  });
  after(() => sandbox?.close());

  it('has the bytes of its files, and the volume that is mounted in it', async () => {
    assert.equal(await output(sandbox, 'sha256sum < /data/large'), `${sum(large)}  -\n`);
    const script = 'cat /data/link /data/inner/name; ls /data';
    const names = 'deep\ninner\nlarge\nlink\nother\n';
    assert.equal(await output(sandbox, script), `of the image\nof the host\n${names}`);
    const { files } = sandbox;
    assert.equal(await files.readText('/data/link'), 'of the image\n');
    assert.equal(await files.readText('/data/inner/name'), 'of the host\n');
    assert.equal(sum(await files.read('/data/large')), sum(large));
  });

  it('has large files that the guest’s kernel does not keep in its page cache', async () => {
    const cached = async () =>
      1024 *
      Number(await output(sandbox, "sed -n 's/^Cached: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"));
    const before = await cached();
    await output(sandbox, 'cat /data/large > /dev/null');
    const grown = (await cached()) - before;
    assert.ok(grown < large.length / 4, `${grown} bytes were cached`);
    await output(sandbox, 'cp /data/large /root/copy');
    const copied = (await cached()) - before;
    assert.ok(copied > large.length / 2, `only ${copied} bytes were cached of a copy`);
  });

  it('is only read, whoever tries to write', async () => {
    const script = 'echo x > /data/large || mkdir /data/new || rm /data/link || echo refused';
    assert.equal(await output(sandbox, `(${script}) 2> /dev/null`), 'refused\n');
    const remounted =
      'mount -o remount,rw /data && (echo x >> /data/large; dd if=/dev/zero of=/data/large count=1 conv=notrunc)';
    const { exit } = await (await sandbox.exec(['sh', '-c', `${remounted} 2> /dev/null`])).output();
    assert.notEqual(exit.code, 0);
    assert.equal(await output(sandbox, 'sha256sum < /data/large'), `${sum(large)}  -\n`);
    const { files } = sandbox;
    const refused = { code: 'VFS_READ_ONLY' };
    for (const attempt of [
      () => files.write('/data/deep/small', 'x'),
      () => files.write('/data/new/file', 'x'),
      () => files.mkdir('/data/new'),
      () => files.remove('/data/link'),
      () => files.remove('/data/deep', { recursive: true }),
      () => files.move('/data/link', '/data/moved'),
    ]) {
      await assert.rejects(attempt, refused);
    }
    await assert.rejects(files.move('/data/link', '/root/moved'), { code: 'VFS_CROSS_DEVICE' });
  });

  it('is there in a fork, and in the fork of that', async () => {
    // The kernel asks for the other name last, in a directory that it knows last.
    await output(sandbox, 'stat /data/deep/small /data/other/name');
    await using fork = await sandbox.fork();
    await using second = await fork.fork();
    for (const each of [fork, second, sandbox]) {
      const script =
        'echo 3 > /proc/sys/vm/drop_caches; sha256sum < /data/large; cat /data/deep/small';
      assert.equal(await output(each, script), `${sum(large)}  -\nof the image\n`);
    }
  });

  it('may be a tar archive', async () => {
    await using other = await withVolumes({ host: at('data.tar'), guest: '/srv/a b' });
    const script = "sha256sum < '/srv/a b/large'; cat '/srv/a b/link'";
    assert.equal(await output(other, script), `${sum(large)}  -\nof the image\n`);
  });

  it('is the very same for a saved sandbox, wherever it lies now', async () => {
    await output(sandbox, 'head -c 100000 /data/large > /dev/null');
    await sandbox.snapshot(at('saved'));
    const host = { host: at('host'), guest: '/data/inner' };
    const restore = (data: Partial<Volume> | undefined) => {
      const volumes = data ? [{ host: '', guest: '/data', ...data }, host] : [host];
      return Sandbox.restore(at('saved'), { volumes });
    };
    await assert.rejects(restore(undefined), { code: 'SANDBOX_BAD_VOLUME' });
    await assert.rejects(restore({ host: at('host') }), { code: 'SANDBOX_BAD_VOLUME' });
    await assert.rejects(restore({ host: at('data.tar') }), { code: 'SANDBOX_FILE_FOREIGN' });
    const data = { host: at('data.erofs'), guest: '/data' };
    const swapped = [data, { host: at('data.erofs'), guest: '/data/inner' }];
    await assert.rejects(Sandbox.restore(at('saved'), { volumes: swapped }), {
      code: 'SANDBOX_BAD_VOLUME',
    });
    mkdirSync(at('elsewhere'));
    copyFileSync(at('data.erofs'), at('elsewhere/copy'));
    const script = 'sha256sum < /data/large; cat /data/link /data/inner/name';
    const expected = `${sum(large)}  -\nof the image\nof the host\n`;
    {
      await using restored = await restore({ host: at('elsewhere/copy') });
      assert.equal(await output(restored, script), expected);
      await restored.snapshot(at('again'));
    }
    await using trusted = await Sandbox.restore(at('again'), { trust: true, verify: true });
    assert.equal(await output(trusted, script), expected);
    rmSync(at('elsewhere/copy'));
    await assert.rejects(Sandbox.restore(at('again'), { trust: true }), {
      code: 'SANDBOX_FILE_FOREIGN',
      message: /copy at \/data/,
    });
    const other = tree();
    other.putFile('deep/small', new TextEncoder().encode('of another\n'));
    await save(at('other.erofs'), await writeErofs(other));
    await assert.rejects(restore({ host: at('other.erofs') }), {
      code: 'SANDBOX_FILE_FOREIGN',
      message: /other\.erofs at \/data is not the one/,
    });
  });
});

describe('a volume that is no image, or a bad one', () => {
  const rejects = (volume: Partial<Volume>, error: object) =>
    assert.rejects(withVolumes({ host: '', guest: '/data', ...volume }), error);

  it('is refused with a code', async () => {
    writeFileSync(at('text'), 'neither of them\n'.repeat(500));
    await rejects({ host: at('text') }, { code: 'SANDBOX_BAD_IMAGE' });
    await rejects({ host: at('data.erofs'), readOnly: false }, { code: 'SANDBOX_BAD_VOLUME' });
    await rejects({ host: at('data.erofs'), guest: '/' }, { code: 'SANDBOX_BAD_VOLUME' });
    await rejects({ host: at('nothing') }, { code: 'HOST_NOT_FOUND' });
    copyFileSync(at('data.erofs'), at('cut'));
    truncateSync(at('cut'), 1100);
    await rejects({ host: at('cut') }, { code: /^EROFS_/ });
  });

  it('fails the reads that meet the damage, and no others', async () => {
    const source = tree();
    source.putFile('first', new Uint8Array(100_000).fill(1));
    await save(at('short'), await writeErofs(source));
    // What is behind is not there: data of files, most of all those that are written last.
    truncateSync(at('short'), 0x20_0000);
    await using sandbox = await withVolumes({ host: at('short'), guest: '/data' });
    const script =
      'cat /data/large > /dev/null || echo failed; dd if=/data/large bs=1M count=1 | wc -c';
    assert.match(await output(sandbox, `(${script}) 2> /dev/null`), /^failed\n/);
    assert.equal(await output(sandbox, 'echo on; ls /data | wc -l'), 'on\n6\n');
  });
});
