import assert from 'node:assert/strict';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { WritableNode } from '@anole/vfs';
import { hostVolume, type VolumeOptions } from './index.ts';
import { scratchDirectory } from './scratch.fixture.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const file = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
const directory = { ...file, type: 'directory', mode: 0o755 } as const;

function open(context: TestContext, options?: VolumeOptions) {
  const outside = scratchDirectory(context);
  const inside = join(outside, 'volume');
  mkdirSync(inside);
  const volume = hostVolume(inside, options);
  context.after(() => volume.close());
  const root = volume.root;
  return { outside, inside, volume, root };
}

/** What a volume's nodes answer is there at once. */
function now<T>(value: T | Promise<T>): T {
  assert.ok(!(value instanceof Promise));
  return value;
}

function child(parent: WritableNode, name: string): WritableNode {
  const node = now(parent.lookup(name));
  assert.ok(node, `${name} is there`);
  return node;
}

describe('hostVolume', () => {
  it('makes on the host what is made in the volume', (context) => {
    const { inside, root } = open(context);
    const made = now(root.create('dir', { ...directory, mode: 0o2750 }));
    const one = now(made.create('one', { ...file, mode: 0o444 }));
    now(one.write(3, encoder.encode('content')));
    now(made.create('soft', { ...file, type: 'symlink', target: 'one' }));
    now(root.link('two', one));
    now(made.rename('one', root, 'three'));
    assert.equal(readFileSync(join(inside, 'three'), 'latin1'), '\0\0\0content');
    assert.equal(statSync(join(inside, 'two')).nlink, 2);
    assert.equal(statSync(join(inside, 'two')).mode & 0o7777, 0o444);
    assert.equal(statSync(join(inside, 'dir')).mode & 0o7777, 0o2750);
    assert.deepEqual(readdirSync(join(inside, 'dir')), ['soft']);
    assert.equal(now(child(made, 'soft').readLink()), 'one');
  });

  it('shows at once what the host changes', (context) => {
    const { inside, root } = open(context);
    writeFileSync(join(inside, 'file'), 'first');
    const node = child(root, 'file');
    assert.equal(decoder.decode(now(node.read(0, 100))), 'first');
    writeFileSync(join(inside, 'file'), 'second');
    assert.equal(node.stat.size, 6);
    assert.equal(decoder.decode(now(node.read(0, 100))), 'second');
    renameSync(join(inside, 'file'), join(inside, 'moved'));
    assert.equal(now(root.lookup('file')), undefined);
    assert.deepEqual(
      now(root.list()).map(({ name }) => name),
      ['moved'],
    );
  });

  it('keeps a removed file as long as it is in use', (context) => {
    const { inside, root } = open(context);
    const node = now(root.create('gone', file));
    now(node.write(0, encoder.encode('still here')));
    now(root.unlink('gone'));
    assert.deepEqual(readdirSync(inside), []);
    assert.equal(node.stat.nlink, 0);
    now(node.write(0, encoder.encode('STILL')));
    now(node.change({ size: 7 }));
    assert.equal(decoder.decode(now(node.read(0, 100))), 'STILL h');
    node.release?.();
  });

  it('finds its nodes again when more are in use than it keeps open', (context) => {
    const { root } = open(context);
    const nodes: WritableNode[] = [];
    for (let index = 0; index < 700; index++) {
      const made = now(root.create(`dir${index}`, directory));
      const node = now(made.create('file', file));
      now(node.write(0, encoder.encode(`${index}`)));
      nodes.push(node);
    }
    const { length } = readdirSync('/proc/self/fd');
    assert.ok(length < 900, `${length} descriptors are open`);
    nodes.forEach((node, index) => {
      assert.equal(decoder.decode(now(node.read(0, 10))), `${index}`);
    });
  });

  it('walks up and down a deep tree without end of the stack', (context) => {
    const { root } = open(context);
    let deepest = root;
    for (let depth = 0; depth < 2000; depth++) deepest = now(deepest.create('d', directory));
    for (let index = 0; index < 600; index++) now(root.create(`f${index}`, file));
    now(deepest.create('bottom', file));
    assert.equal(now(deepest.list()).length, 1);
  });

  for (const name of ['', '.', '..', '../secret', 'a/b', '/etc', 'nul\0']) {
    it(`refuses ${JSON.stringify(name)} as a name`, (context) => {
      const { outside, inside, root } = open(context);
      writeFileSync(join(outside, 'secret'), 'secret');
      const own = now(root.create('own', file));
      assert.equal(now(root.lookup(name)), undefined);
      const invalid = { code: 'VFS_INVALID' };
      assert.throws(() => root.create(name, file), invalid);
      assert.throws(() => root.link(name, own), invalid);
      assert.throws(() => root.unlink(name), invalid);
      assert.throws(() => root.removeDirectory(name), invalid);
      assert.throws(() => root.rename(name, root, 'x'), invalid);
      assert.throws(() => root.rename('own', root, name), invalid);
      assert.deepEqual(readdirSync(inside), ['own']);
      assert.equal(readFileSync(join(outside, 'secret'), 'latin1'), 'secret');
    });
  }

  it('does not follow links, neither those of the guest nor those of the host', (context) => {
    const { outside, inside, root } = open(context);
    writeFileSync(join(outside, 'secret'), 'secret');
    symlinkSync('../secret', join(inside, 'file'));
    symlinkSync('..', join(inside, 'dir'));
    for (const name of ['file', 'dir']) {
      const node = child(root, name);
      assert.equal(node.stat.type, 'symlink');
      assert.throws(() => node.lookup('secret'), { code: 'VFS_NOT_DIRECTORY' });
      assert.throws(() => node.list(), { code: 'VFS_NOT_DIRECTORY' });
      assert.throws(() => node.read(0, 10), { code: 'VFS_NOT_FILE' });
      assert.throws(() => node.write(0, encoder.encode('x')), { code: 'VFS_NOT_FILE' });
      now(node.change({ mode: 0o777, mtime: { seconds: 1, nanoseconds: 0 } }));
    }
    now(root.link('second', child(root, 'file')));
    assert.equal(lstatSync(join(inside, 'second')).isSymbolicLink(), true);
    assert.notEqual(statSync(join(outside, 'secret')).mtimeMs, 1000);
    assert.equal(readFileSync(join(outside, 'secret'), 'latin1'), 'secret');
  });

  it('does not leave by a directory whose place a link has taken', (context) => {
    const { outside, inside, root } = open(context);
    mkdirSync(join(outside, 'other'));
    writeFileSync(join(outside, 'other/secret'), 'secret');
    mkdirSync(join(inside, 'dir'));
    const node = child(root, 'dir');
    rmSync(join(inside, 'dir'), { recursive: true });
    symlinkSync('../other', join(inside, 'dir'));
    const gone = { code: 'VFS_NOT_FOUND' };
    assert.throws(() => node.create('planted', file), gone);
    assert.throws(() => node.list(), gone);
    assert.throws(() => node.lookup('secret'), gone);
    assert.deepEqual(readdirSync(join(outside, 'other')), ['secret']);
  });

  it('does not take another file for the one it knew', (context) => {
    const { inside, root } = open(context);
    writeFileSync(join(inside, 'file'), 'known');
    const node = child(root, 'file');
    linkSync(join(inside, 'file'), join(inside, 'kept'));
    rmSync(join(inside, 'file'));
    writeFileSync(join(inside, 'file'), 'other');
    assert.throws(() => node.read(0, 10), { code: 'VFS_NOT_FOUND' });
    assert.equal(decoder.decode(now(child(root, 'kept').read(0, 10))), 'known');
    assert.equal(decoder.decode(now(node.read(0, 10))), 'known');
  });

  it('makes no devices, FIFOs, sockets, and no set-uid programs', (context) => {
    const { inside, root } = open(context);
    const refused = { code: 'VFS_NOT_PERMITTED' };
    const rdev = { major: 1, minor: 3 };
    for (const type of ['character', 'block', 'fifo', 'socket'] as const) {
      assert.throws(() => root.create('special', { ...file, type, rdev }), refused);
    }
    assert.throws(() => root.create('suid', { ...file, mode: 0o4755 }), refused);
    const node = now(root.create('plain', file));
    assert.throws(() => node.change({ mode: 0o2755 }), refused);
    assert.deepEqual(readdirSync(inside), ['plain']);
  });

  it('changes nothing when it is only to be read', (context) => {
    const { inside, root } = open(context, { readOnly: true });
    writeFileSync(join(inside, 'file'), 'content');
    const node = child(root, 'file');
    const refused = { code: 'VFS_READ_ONLY' };
    assert.throws(() => node.write(0, encoder.encode('x')), refused);
    assert.throws(() => node.change({ mode: 0o600 }), refused);
    assert.throws(() => root.create('new', file), refused);
    assert.throws(() => root.unlink('file'), refused);
    assert.throws(() => root.link('new', node), refused);
    assert.throws(() => root.rename('file', root, 'new'), refused);
    assert.equal(decoder.decode(now(node.read(0, 10))), 'content');
  });

  it('says that it cannot keep attributes, holes and exchanges', (context) => {
    const { root } = open(context);
    const node = now(root.create('a', file));
    now(root.create('b', file));
    assert.equal(now(node.xattrs()).size, 0);
    assert.throws(() => node.setXattr('user.x', encoder.encode('1')), {
      code: 'VFS_NOT_SUPPORTED',
    });
    assert.throws(() => node.punchHole(0, 1), { code: 'VFS_NOT_SUPPORTED' });
    assert.throws(() => root.rename('a', root, 'b', { exchange: true }), { code: 'VFS_INVALID' });
    assert.throws(() => root.rename('a', root, 'b', { noReplace: true }), { code: 'VFS_EXISTS' });
  });

  it('refuses a directory that is not there, and one that is a file', (context) => {
    const { inside } = open(context);
    writeFileSync(join(inside, 'file'), '');
    assert.throws(() => hostVolume(join(inside, 'missing')), { code: 'HOST_NOT_FOUND' });
    assert.throws(() => hostVolume(join(inside, 'file')), { code: 'HOST_NOT_DIRECTORY' });
  });

  it('says so when it is used after it was closed', (context) => {
    const { root, volume } = open(context);
    volume.close();
    volume.close();
    assert.throws(() => root.list(), { code: 'VFS_IO' });
  });
});
