import { decodeName } from '@anole/bytes';
import { type Attributes, MemoryTree } from '@anole/vfs';

/** A tree of what every file system can hold; with `root`, of what only root can make. */
export function sampleTree(options: { readonly root: boolean }): MemoryTree {
  const user = options.root ? {} : { uid: process.geteuid!(), gid: process.getegid!() };
  const mtime = { seconds: 1_600_000_000, nanoseconds: 123_456_789 };
  const put = (mode: number, more: Attributes = {}): Attributes => ({
    mode,
    mtime,
    ...user,
    ...more,
  });
  const tree = new MemoryTree(put(0o750));
  tree.putDirectory('usr', put(0o755));
  tree.putDirectory('usr/bin', put(0o2775));
  tree.putFile('usr/bin/tool', utf8('#!/bin/sh\n'), put(0o755));
  tree.putLink('usr/bin/also', 'usr/bin/tool');
  tree.putSymlink('bin', 'usr/bin', put(0o777));
  tree.putSymlink('outside', '/etc', put(0o777));
  tree.putFile(
    'read-only',
    utf8('r'),
    put(0o400, { xattrs: new Map([['user.mark', utf8('1\0')]]) }),
  );
  tree.putDirectory('sealed', put(0o500));
  tree.putFile(
    'sealed/inner',
    new Uint8Array(3_000_000).map((_, at) => at % 253),
    put(0o644),
  );
  tree.putFile('empty', new Uint8Array(0), put(0o600));
  tree.putFile(
    'before 1970',
    utf8('old'),
    put(0o644, { mtime: { seconds: -100, nanoseconds: 0 } }),
  );
  tree.putFile(decodeName(Uint8Array.of(0x72, 0xff)), utf8('raw'), put(0o644));
  tree.putFile(
    '日本=\\ \n',
    utf8('odd'),
    put(0o644, { xattrs: new Map([['user.日=', utf8('é')]]) }),
  );
  tree.putSpecial('pipe', 'fifo', put(0o640));
  const extents = [{ offset: 1_048_576, length: 4096 }];
  tree.putFile(
    'holes',
    {
      size: 5_000_000,
      extents,
      read(offset, length) {
        const bytes = new Uint8Array(length);
        for (let at = 0; at < length; at++) {
          if (offset + at >= 1_048_576 && offset + at < 1_052_672) bytes[at] = 5;
        }
        return bytes;
      },
    },
    put(0o644),
  );
  if (options.root) {
    tree.putSpecial('null', 'character', put(0o666, { rdev: { major: 1, minor: 3 } }));
    tree.putSpecial('disk', 'block', put(0o660, { gid: 6, rdev: { major: 259, minor: 70_000 } }));
    const capability = Uint8Array.from([
      1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    tree.putFile('setuid', utf8('s'), put(0o4711, { uid: 33, gid: 44 }));
    tree.putFile(
      'capable',
      utf8('c'),
      put(0o755, { xattrs: new Map([['security.capability', capability]]) }),
    );
  }
  return tree;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
