import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memorySource, type Source } from '@anole/bytes';
import { paxBody, rawMember, rawTar } from '../../test/raw-tar.ts';
import { all, collect, pieces } from '../../test/trees.ts';
import { readTar, type TarEntry } from '../index.ts';

describe('readTar', () => {
  it('takes an archive that ends without its last padding, but not within a file', async () => {
    const archive = rawMember({ name: 'a', body: 'alpha' });
    for (let length = 512 + 5; length <= archive.length; length += 101) {
      const cut = archive.subarray(0, length);
      for (const from of [memorySource(cut), pieces(cut, 7), pieces(cut, 512), pieces(cut, 9999)]) {
        assert.deepEqual(
          (await all(readTar(from))).map(({ path }) => path),
          ['a'],
        );
      }
    }
    const short = archive.subarray(0, 512 + 4);
    for (const from of [memorySource(short), pieces(short, 7), pieces(short, 9999)]) {
      await assert.rejects(all(readTar(from)), { code: 'TAR_TRUNCATED' });
    }
  });

  it('gives entries with their places in the archive', async () => {
    const archive = rawTar(
      { name: 'a', body: 'alpha' },
      { name: 'x', type: 'x', body: paxBody([['path', 'long name']]) },
      { name: 'b', body: 'beta' },
    );
    const entries = await read(archive);
    assert.deepEqual(
      entries.map(({ path, headerOffset, dataOffset, storedSize }) => [
        path,
        headerOffset,
        dataOffset,
        storedSize,
      ]),
      [
        ['a', 0, 512, 5],
        ['long name', 1024, 2560, 4],
      ],
    );
    assert.equal(text(archive.subarray(2560, 2564)), 'beta');
  });

  it('gives bodies in pieces that alias the stream, and skips what is not read', async () => {
    const archive = rawTar(
      { name: 'skipped', body: new Uint8Array(100_000) },
      { name: 'read', body: 'content' },
    );
    for await (const entry of readTar(pieces(archive, 777))) {
      if (entry.path === 'read') assert.equal(text(await collect(entry.body())), 'content');
    }
    const whole = archive;
    async function* once() {
      yield whole;
    }
    for await (const entry of readTar(once())) {
      if (entry.path === 'read') assert.equal((await entry.storedBytes()).buffer, whole.buffer);
    }
  });

  it('keeps nothing of chunks that are lent, but for bodies', async () => {
    const long = 'n'.repeat(300);
    const records: [string, string][] = [['SCHILY.xattr.user.a', 'value'.repeat(200)]];
    const archive = rawTar(
      { name: '././@LongLink', type: 'L', body: `${long}\0` },
      { name: 'x', type: 'x', body: paxBody(records) },
      { name: 'cut', body: 'content'.repeat(500) },
      { name: 'last' },
    );
    const chunk = new Uint8Array(777);
    async function* lent() {
      for await (const piece of pieces(archive, chunk.length)) {
        chunk.set(piece);
        yield chunk.subarray(0, piece.length);
        chunk.fill(0xee);
      }
    }
    const entries: TarEntry[] = [];
    for await (const entry of readTar(lent(), { lent: true })) {
      if (entry.path === long) {
        assert.equal(text(await entry.storedBytes()), 'content'.repeat(500));
      }
      entries.push(entry);
    }
    assert.deepEqual(
      entries.map(({ path }) => path),
      [long, 'last'],
    );
    assert.equal(text(entries[0]!.xattrs.get('user.a')!), 'value'.repeat(200));
    assert.equal(text(entries[0]!.pax.get('SCHILY.xattr.user.a')!), 'value'.repeat(200));
  });

  it('asks a stream for no more than the bodies that are read need', async () => {
    const archive = rawTar({ name: 'one', body: new Uint8Array(50_000) }, { name: 'two' });
    let given = 0;
    async function* counted() {
      for await (const piece of pieces(archive, 1024)) {
        given += piece.length;
        yield piece;
      }
    }
    const entries = readTar(counted());
    await entries.next();
    assert.equal(given, 1024);
    await entries.return();
  });

  it('reads of a Source headers only, until a body is asked for', async () => {
    const archive = rawTar(
      { name: 'big', body: new Uint8Array(1_000_000) },
      { name: 'small', body: 'x' },
    );
    let bytes = 0;
    const whole = memorySource(archive);
    const source: Source = {
      size: whole.size,
      read(offset, length) {
        bytes += length;
        return whole.read(offset, length);
      },
    };
    assert.equal((await all(readTar(source))).length, 2);
    assert.ok(bytes < 40_000, `${bytes} bytes read`);
  });

  it('reads the stream to its end, behind the archive too', async () => {
    let ended = false;
    async function* trailing() {
      yield rawTar({ name: 'a' });
      yield new Uint8Array(4096);
      ended = true;
    }
    await all(readTar(trailing()));
    assert.equal(ended, true);
  });

  it('closes the stream when the iteration is left early', async () => {
    let closed = false;
    async function* endless() {
      try {
        for (;;) yield rawMember({ name: 'again' });
      } finally {
        closed = true;
      }
    }
    for await (const _ of readTar(endless())) break;
    assert.equal(closed, true);
  });

  it('refuses a body whose time has passed', async () => {
    const entries = await read(rawTar({ name: 'a', body: 'alpha' }, { name: 'b' }));
    await assert.rejects(collect(entries[0]!.body()), { code: 'TAR_BODY_GONE' });
  });

  it('takes global PAX records until an entry overrules them, and keeps them raw', async () => {
    const entries = await read(
      rawTar(
        {
          name: 'g',
          type: 'g',
          body: paxBody([
            ['uname', 'lizard'],
            ['comment', 'all'],
          ]),
        },
        { name: 'a' },
        {
          name: 'x',
          type: 'x',
          body: paxBody([
            ['uname', ''],
            ['mtime', '-1.25'],
          ]),
        },
        { name: 'b' },
        { name: 'c' },
      ),
    );
    assert.deepEqual(
      entries.map(({ userName }) => userName),
      ['lizard', '', 'lizard'],
    );
    assert.equal(text(entries[1]!.pax.get('comment')!), 'all');
    assert.deepEqual(entries[1]!.mtime, { seconds: -2, nanoseconds: 750_000_000 });
  });

  it('reads attributes as GNU tar, star and libarchive write them', async () => {
    const records: [string, string][] = [
      ['SCHILY.xattr.user.a%3Db', 'plain'],
      ['LIBARCHIVE.xattr.user.c%20d', 'YmFzZTY0'],
      ['LIBARCHIVE.xattr.user.e', '_'],
      ['SCHILY.xattr.user.e', 'raw'],
      ['RHT.security.selinux', 'label'],
    ];
    const [entry] = await read(
      rawTar({ name: 'x', type: 'x', body: paxBody(records) }, { name: 'a' }),
    );
    assert.deepEqual(
      [...entry!.xattrs].map(([key, value]) => [key, text(value)]),
      [
        ['user.a=b', 'plain'],
        ['user.c d', 'base64'],
        ['user.e', 'raw'],
        ['security.selinux', 'label'],
      ],
    );
  });

  it('reads GNU long names, numbers in base 256, and headers of before POSIX', async () => {
    const entries = await read(
      rawTar(
        { name: '././@LongLink', type: 'L', body: `${'n'.repeat(300)}\0` },
        {
          name: 'cut',
          patch: [136, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]],
        },
        { name: 'old/', type: '\0', patch: [257, [0, 0, 0, 0, 0, 0, 0, 0]] },
        { name: 'large', patch: [108, [0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]] },
      ),
    );
    assert.equal(entries[0]!.path, 'n'.repeat(300));
    assert.equal(entries[0]!.mtime.seconds, -2);
    assert.equal(entries[1]!.type, 'directory');
    assert.equal(entries[1]!.path, 'old');
    assert.equal(entries[2]!.uid, 0xffff_ffff);
  });

  it('puts names into the archive: no leading slash, no dots', async () => {
    const names = ['./', '/etc//passwd', './a/./b/', 'plain..name/...'];
    const entries = await read(rawTar(...names.map((name) => ({ name }))));
    assert.deepEqual(
      entries.map(({ path }) => path),
      ['', 'etc/passwd', 'a/b', 'plain..name/...'],
    );
    assert.deepEqual(
      entries.map(({ name }) => name),
      names,
    );
  });

  it('counts no body for links, whatever their headers say', async () => {
    const entries = await read(
      rawTar(
        { name: 'a', body: 'alpha' },
        { name: 'b', type: '1', link: './a', size: 5 },
        { name: 'c' },
      ),
    );
    assert.deepEqual(
      entries.map(({ path, type, size }) => [path, type, size]),
      [
        ['a', 'file', 5],
        ['b', 'hardlink', 0],
        ['c', 'file', 0],
      ],
    );
    assert.equal(entries[1]!.target, 'a');
  });

  it('fills the holes of a sparse file in its body', async () => {
    const records: [string, string][] = [
      ['GNU.sparse.size', '20'],
      ['GNU.sparse.numblocks', '1'],
      ['GNU.sparse.map', '5,3'],
    ];
    const archive = rawTar(
      { name: 'x', type: 'x', body: paxBody(records) },
      { name: 'a', body: 'abc' },
    );
    for await (const entry of readTar(memorySource(archive))) {
      assert.equal(text(await collect(entry.body())), `${'\0'.repeat(5)}abc${'\0'.repeat(12)}`);
      assert.deepEqual(entry.extents, [{ offset: 5, length: 3 }]);
    }
  });
});

async function read(archive: Uint8Array): Promise<TarEntry[]> {
  return await all(readTar(memorySource(archive)));
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
