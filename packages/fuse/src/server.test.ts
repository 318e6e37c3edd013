import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { MemoryTree, memoryOverlay, type Tree, type TreeNode } from '@anole/vfs';
import { FuseServer } from './index.ts';
import {
  attrOf,
  direntsOf,
  entryOf,
  join,
  Kernel,
  setattr,
  string,
  u32,
  u64,
  zeros,
} from './kernel.fixture.ts';
import { InitFlag } from './layout/flags.ts';
import { EntryOut } from './layout/replies.ts';

const ENOENT = 2;
const EIO = 5;
const ENXIO = 6;
const EEXIST = 17;
const EINVAL = 22;
const EROFS = 30;
const ERANGE = 34;
const ENOSYS = 38;
const ENODATA = 61;
const EPROTO = 71;
const EOPNOTSUPP = 95;
const ESTALE = 116;

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const encoder = new TextEncoder();

function lower(): MemoryTree {
  const tree = new MemoryTree();
  tree.putFile('dir/file', encoder.encode('content'));
  tree.putSymlink('link', 'dir/file');
  return tree;
}

describe('FuseServer, first words', () => {
  it('agrees on what both sides have', () => {
    const { agreed } = new Kernel(memoryOverlay());
    assert.ok(agreed & InitFlag.WRITEBACK_CACHE);
    assert.ok(agreed & InitFlag.HANDLE_KILLPRIV_V2);
    assert.equal(agreed & (InitFlag.POSIX_LOCKS | InitFlag.FLOCK_LOCKS | InitFlag.POSIX_ACL), 0);
    assert.equal(new Kernel(memoryOverlay(), {}, 0).agreed, 0);
    assert.equal(agreed & InitFlag.READDIRPLUS_AUTO, 0);
    const shared = new Kernel(memoryOverlay(), { exclusive: false }).agreed;
    assert.ok(shared & InitFlag.READDIRPLUS_AUTO);
    assert.ok(shared & InitFlag.AUTO_INVAL_DATA);
    assert.equal(shared & InitFlag.WRITEBACK_CACHE, 0);
  });

  it('has a kernel whose mount is read-only open files without asking', () => {
    const options = { readOnly: true };
    const asking = new Kernel(lower(), options);
    const asked = asking.walk('dir', 'file').nodeid;
    assert.equal(asking.ask('OPEN', asked, u32(0, 0)).error, 0);
    assert.equal(asking.ask('OPEN', asked, u32(1, 0)).error, EROFS);
    const free = new Kernel(lower(), { ...options, mountedReadOnly: true });
    assert.equal(free.ask('OPEN', free.walk('dir', 'file').nodeid, u32(0, 0)).error, ENOSYS);
  });

  it('tells a newer kernel its version, and refuses an older one', () => {
    const kernel = new Kernel(memoryOverlay());
    const newer = kernel.ask('INIT', 0, u32(8, 0, 0, 0));
    assert.deepEqual([newer.error, newer.body[0]], [0, 7]);
    assert.equal(kernel.ask('INIT', 0, u32(7, 12, 0, 0)).error, EPROTO);
  });

  it('serves nothing before INIT and after DESTROY', () => {
    const kernel = new Kernel(memoryOverlay(lower()));
    kernel.walk('dir', 'file');
    assert.equal(kernel.server.knownNodes, 3);
    assert.equal(kernel.ask('DESTROY', 0).error, 0);
    assert.equal(kernel.server.knownNodes, 1);
    assert.equal(kernel.ask('GETATTR', 1, zeros(16)).error, EIO);
  });

  it('refuses options out of range', () => {
    for (const maxTransfer of [0, 4095, 2 ** 21, Number.NaN]) {
      const make = () => new FuseServer(memoryOverlay(), { maxTransfer });
      assert.throws(make, { code: 'FUSE_BAD_OPTION' });
    }
  });
});

describe('FuseServer', () => {
  it('finds, reads and forgets what is in the tree', () => {
    const kernel = new Kernel(memoryOverlay(lower()));
    const { nodeid, attr } = kernel.walk('dir', 'file');
    assert.equal(attr.size, 7);
    assert.equal(attr.mode, 0o100644);
    assert.equal(text(kernel.read(nodeid, 3, 100).body), 'tent');
    assert.equal(kernel.read(nodeid, 100, 100).body.length, 0);
    assert.equal(text(kernel.ask('READLINK', kernel.walk('link').nodeid).body), 'dir/file');
    kernel.tell('FORGET', nodeid, u64(1));
    assert.equal(kernel.read(nodeid, 0, 1).error, ESTALE);
  });

  it('forgets many at once, and keeps what was looked up more often', () => {
    const kernel = new Kernel(memoryOverlay(lower()));
    const file = kernel.walk('dir', 'file').nodeid;
    const dir = kernel.walk('dir').nodeid;
    const both = join(u32(2, 0), u64(file, 1), u64(dir, 1));
    kernel.tell('BATCH_FORGET', 0, both);
    assert.equal(kernel.ask('GETATTR', file, zeros(16)).error, ESTALE);
    assert.equal(kernel.ask('GETATTR', dir, zeros(16)).error, 0);
    kernel.tell('FORGET', 1, u64(1000));
    assert.equal(kernel.ask('GETATTR', 1, zeros(16)).error, 0, 'the root stays');
  });

  it('says for how long a name is not there', () => {
    const exclusive = new Kernel(memoryOverlay());
    const { error, body } = exclusive.ask('LOOKUP', 1, string('none'));
    assert.equal(error, 0);
    assert.equal(entryOf(body).nodeid, 0);
    const shared = new Kernel(memoryOverlay(), { exclusive: false });
    assert.equal(shared.ask('LOOKUP', 1, string('none')).error, ENOENT);
  });

  it('gives both names of a hard link one number', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'one');
    const { body, error } = kernel.ask('LINK', 1, join(u64(file), string('two')));
    assert.equal(error, 0);
    assert.equal(entryOf(body).nodeid, file);
    assert.equal(attrOf(body, EntryOut).nlink, 2);
    assert.equal(kernel.ask('LINK', 1, join(u64(file), string('two'))).error, EEXIST);
  });

  it('writes from pieces, and reads back what was written', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'file');
    assert.equal(kernel.write(file, 2, encoder.encode('abc')).error, 0);
    const args = join(u64(0, 5), u32(6, 0), u64(0), u32(0, 0), encoder.encode('d'));
    const request = kernel.request(16, file, args);
    new DataView(request.buffer).setUint32(0, request.length + 5, true);
    kernel.server.handle(request, [encoder.encode('ef'), encoder.encode('ghi')]);
    assert.equal(text(kernel.read(file, 0, 100).body), '\0\0abcdefghi');
  });

  it('keeps a file that is removed while the kernel knows it', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'file');
    kernel.write(file, 0, encoder.encode('still'));
    assert.equal(kernel.ask('UNLINK', 1, string('file')).error, 0);
    assert.equal(text(kernel.read(file, 0, 9).body), 'still');
    assert.equal(attrOf(kernel.ask('GETATTR', file, zeros(16)).body).nlink, 0);
    kernel.tell('FORGET', file, u64(1));
    assert.equal(kernel.read(file, 0, 9).error, ESTALE);
  });

  it('gives new nodes the owner who asks, or the group of a set-gid directory', () => {
    const kernel = new Kernel(memoryOverlay());
    kernel.uid = 1000;
    kernel.gid = 100;
    const plain = entryOf(kernel.ask('MKDIR', 1, join(u32(0o755, 0), string('plain'))).body);
    assert.deepEqual([plain.attr.uid, plain.attr.gid], [1000, 100]);
    const shared = kernel.mkdir(1, 'shared', 0o2775);
    kernel.gid = 200;
    const below = entryOf(kernel.ask('MKDIR', shared, join(u32(0o755, 0), string('d'))).body);
    assert.deepEqual([below.attr.gid, below.attr.mode], [100, 0o042755]);
    const made = join(u32(0o100644, 0, 0, 0), string('f'));
    assert.equal(entryOf(kernel.ask('MKNOD', shared, made).body).attr.gid, 100);
  });

  it('makes devices with their numbers', () => {
    const kernel = new Kernel(memoryOverlay());
    const rdev = 0x12300145;
    const args = join(u32(0o060600, rdev, 0, 0), string('device'));
    const { attr } = entryOf(kernel.ask('MKNOD', 1, args).body);
    assert.deepEqual([attr.mode, attr.rdev], [0o060600, rdev]);
    assert.equal(kernel.ask('MKNOD', 1, join(u32(0o040600, 0, 0, 0), string('d'))).error, EINVAL);
  });

  it('takes set-uid, set-gid and capabilities where the kernel says so', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'file', 0o6755);
    const mode = () => attrOf(kernel.ask('GETATTR', file, zeros(16)).body).mode & 0o7777;
    const capability = string('security.capability');
    const set = join(u32(3, 0), capability, encoder.encode('cap'));
    const get = join(u32(100, 0), capability);
    assert.equal(kernel.ask('SETXATTR', file, set).error, 0);
    assert.equal(text(kernel.ask('GETXATTR', file, get).body), 'cap');
    kernel.write(file, 0, encoder.encode('x'));
    assert.equal(kernel.ask('GETXATTR', file, get).error, ENODATA);
    assert.equal(mode(), 0o6755);
    kernel.write(file, 0, encoder.encode('x'), 4);
    assert.equal(mode(), 0o755);
    kernel.ask('SETATTR', file, setattr({ valid: 1, mode: 0o6745 }));
    assert.equal(mode(), 0o6745);
    kernel.ask('SETATTR', file, setattr({ valid: 2, uid: 7 }));
    assert.equal(mode(), 0o2745, 'without group execution set-gid is about locks');
  });

  it('sets times to the nanosecond, also before 1970', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'file');
    const { body } = kernel.ask(
      'SETATTR',
      file,
      setattr({ valid: 32, mtime: -5n, nanoseconds: 7 }),
    );
    assert.deepEqual([attrOf(body).mtime, attrOf(body).mtimeNanoseconds], [-5, 7]);
    const bad = setattr({ valid: 32, mtime: 1n, nanoseconds: 1e9 });
    assert.equal(kernel.ask('SETATTR', file, bad).error, EINVAL);
  });

  it('lists page by page, without loss or repetition, while names come and go', () => {
    const kernel = new Kernel(memoryOverlay());
    const names = Array.from({ length: 200 }, (_, index) => `name${index}`);
    for (const name of names) kernel.create(1, name);
    const seen: string[] = [];
    for (let offset = 0, page = 0; ; page++) {
      const entries = kernel.list(1, offset, 500);
      if (entries.length === 0) break;
      seen.push(...entries.map(([name]) => name));
      offset = entries.at(-1)![1];
      kernel.ask('UNLINK', 1, string(seen.at(-1)!));
      kernel.create(1, `new${page}`);
      if (page % 3 === 0) kernel.list(1, 0, 500);
    }
    for (const name of ['.', '..', ...names]) {
      assert.equal(seen.filter((one) => one === name).length, 1, name);
    }
    assert.equal(new Set(seen).size, seen.length);
  });

  it('lists with attributes, and counts what it told of', () => {
    const kernel = new Kernel(memoryOverlay(lower()));
    const args = join(u64(0, 0), u32(4096, 0), u64(0), u32(0, 0));
    const { body } = kernel.ask('READDIRPLUS', 1, args);
    const names = direntsOf(body, EntryOut.size).map(([name]) => name);
    assert.deepEqual(names, ['.', '..', 'dir', 'link']);
    assert.equal(kernel.server.knownNodes, 3);
    const { nodeid } = kernel.walk('dir');
    kernel.tell('FORGET', nodeid, u64(1));
    assert.equal(kernel.server.knownNodes, 3, 'it was told of twice');
    kernel.tell('FORGET', nodeid, u64(1));
    assert.equal(kernel.server.knownNodes, 2);
  });

  it('renames, exchanges, and leaves no whiteouts', () => {
    const kernel = new Kernel(memoryOverlay());
    kernel.create(1, 'a');
    const dir = kernel.mkdir(1, 'd');
    const names = (from: string, to: string) => join(string(from), string(to));
    const rename2 = (flags: number, from: string, to: string) =>
      kernel.ask('RENAME2', 1, join(u64(1), u32(flags, 0), names(from, to))).error;
    assert.equal(kernel.ask('RENAME', 1, join(u64(dir), names('a', 'b'))).error, 0);
    assert.equal(kernel.walk('d', 'b').error, 0);
    kernel.create(1, 'x');
    assert.equal(rename2(1, 'x', 'd'), EEXIST);
    assert.equal(rename2(2, 'x', 'd'), 0);
    assert.equal(kernel.walk('x', 'b').error, 0);
    assert.equal(rename2(2, 'x', 'none'), ENOENT);
    for (const flags of [3, 4, 8]) assert.equal(rename2(flags, 'x', 'd'), EINVAL);
  });

  it('keeps attributes, but no ACLs', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'file');
    const set = (name: string, value: string, flags = 0) =>
      kernel.ask(
        'SETXATTR',
        file,
        join(u32(value.length, flags), string(name), encoder.encode(value)),
      ).error;
    assert.equal(set('user.a', 'value'), 0);
    assert.equal(set('user.a', 'other', 1), EEXIST);
    assert.equal(set('user.b', 'other', 2), ENODATA);
    assert.equal(set('system.posix_acl_access', 'acl'), EOPNOTSUPP);
    const get = (size: number) =>
      kernel.ask('GETXATTR', file, join(u32(size, 0), string('user.a')));
    assert.equal(get(0).body[0], 5);
    assert.equal(get(4).error, ERANGE);
    assert.equal(text(get(5).body), 'value');
    assert.equal(text(kernel.ask('LISTXATTR', file, u32(100, 0)).body), 'user.a\0');
    assert.equal(kernel.ask('REMOVEXATTR', file, string('user.a')).error, 0);
    assert.equal(kernel.ask('LISTXATTR', file, u32(100, 0)).body.length, 0);
  });

  it('leaves holes to the kernel while that gathers writes', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'file');
    assert.equal(kernel.ask('LSEEK', file, join(u64(0, 0), u32(3, 0))).error, ENOSYS);
    assert.equal(attrOf(kernel.ask('GETATTR', file, zeros(16)).body).blocks, 1);
  });

  it('finds holes and data, punches, grows, and copies', () => {
    const kernel = new Kernel(memoryOverlay(), { writebackCache: false });
    const file = kernel.create(1, 'file');
    const allocate = (mode: number, offset: number, length: number) =>
      kernel.ask('FALLOCATE', file, join(u64(0, offset, length), u32(mode, 0))).error;
    const seek = (whence: number, offset: number) => {
      const { error, body } = kernel.ask('LSEEK', file, join(u64(0, offset), u32(whence, 0)));
      return error === 0 ? Number(new DataView(body.buffer).getBigUint64(0, true)) : -error;
    };
    const size = () => attrOf(kernel.ask('GETATTR', file, zeros(16)).body).size;
    assert.equal(allocate(0, 0, 100_000), 0);
    assert.equal(allocate(1, 0, 200_000), 0);
    assert.equal(size(), 100_000);
    assert.equal(seek(3, 0), -ENXIO);
    kernel.write(file, 50_000, new Uint8Array(10).fill(1));
    assert.ok(seek(3, 0) <= 50_000 && seek(3, 0) > 0);
    assert.equal(seek(4, 0), 0);
    assert.equal(seek(4, 50_000), 50_010);
    assert.equal(seek(3, 100_000), -ENXIO);
    assert.equal(allocate(3, 0, 100_000), 0);
    assert.equal(seek(3, 0), -ENXIO);
    assert.equal(allocate(16, 90_000, 20_000), 0);
    assert.equal(size(), 110_000);
    assert.equal(allocate(8, 0, 4096), EOPNOTSUPP);
    kernel.write(file, 0, encoder.encode('copy me'));
    const range = join(u64(0, 0, file, 0, 5, 4, 0));
    assert.equal(kernel.ask('COPY_FILE_RANGE', file, range).body[0], 4);
    assert.equal(text(kernel.read(file, 0, 9).body), 'copy copy');
  });

  it('makes an unnamed file, which may get a name', () => {
    const kernel = new Kernel(memoryOverlay());
    const made = kernel.ask('TMPFILE', 1, join(u32(0, 0o600, 0, 0), string('/')));
    const { nodeid, attr } = entryOf(made.body);
    assert.equal(attr.nlink, 0);
    assert.equal(kernel.ask('LINK', 1, join(u64(nodeid), string('named'))).error, 0);
    assert.equal(kernel.walk('named').nodeid, nodeid);
  });

  it('changes nothing in a tree that is only read', () => {
    for (const kernel of [
      new Kernel(lower()),
      new Kernel(memoryOverlay(lower()), { readOnly: true }),
    ]) {
      const { nodeid } = kernel.walk('dir', 'file');
      assert.equal(kernel.write(nodeid, 0, encoder.encode('x')).error, EROFS);
      assert.equal(kernel.ask('MKDIR', 1, join(u32(0o755, 0), string('d'))).error, EROFS);
      assert.equal(kernel.ask('UNLINK', 1, string('link')).error, EROFS);
      assert.equal(kernel.ask('SETATTR', nodeid, setattr({ valid: 1, mode: 0 })).error, EROFS);
      assert.equal(kernel.ask('OPEN', nodeid, u32(1, 0)).error, EROFS);
      assert.equal(kernel.ask('OPEN', nodeid, u32(0, 0)).error, 0);
      assert.equal(kernel.ask('STATFS', 1).error, 0);
    }
  });

  it('answers a slow tree when the tree does, and loses no node meanwhile', async () => {
    const kernel = new Kernel(memoryOverlay(slow(lower())));
    const [dir, again] = await Promise.all([
      kernel.askSlow('LOOKUP', 1, string('dir')),
      kernel.askSlow('LOOKUP', 1, string('dir')),
    ]);
    const { nodeid } = entryOf(dir.body);
    assert.equal(entryOf(again.body).nodeid, nodeid);
    const waiting = kernel.askSlow('LOOKUP', 1, string('dir'));
    kernel.tell('FORGET', nodeid, u64(2));
    const { nodeid: found } = entryOf((await waiting).body);
    const file = await kernel.askSlow('LOOKUP', found, string('file'));
    assert.equal(file.error, 0);
    assert.equal((await kernel.askSlow('LOOKUP', found, string('none'))).error, 0);
  });
});

/** The same tree, every answer of which comes a turn later. */
function slow(tree: Tree): Tree {
  const wrap = (node: TreeNode): TreeNode => ({
    stat: node.stat,
    lookup: async (name) => {
      await turn();
      const found = await node.lookup(name);
      return found && wrap(found);
    },
    list: async () => turn().then(() => node.list()),
    readLink: async () => turn().then(() => node.readLink()),
    read: async (offset, length) => turn().then(() => node.read(offset, length)),
    xattrs: async () => turn().then(() => node.xattrs()),
  });
  return { root: wrap(tree.root) };
}
