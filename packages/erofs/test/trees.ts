import { decodeName } from '@anole/bytes';
import type { Attributes, MemoryTree } from '@anole/vfs';
import { sampleTree, utf8 } from '../../vfs/test/trees.ts';

const mtime = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };

/** A tree whose parts lie on the edges of the format: blocks, tails, attributes, directories. */
export function edgeTree(): MemoryTree {
  const tree = sampleTree();
  for (const size of [
    1,
    4031,
    4032,
    4033,
    4063,
    4064,
    4065,
    4095,
    4096,
    4097,
    8191,
    8192,
    1 << 21,
  ]) {
    tree.putFile(`sizes/${size}`, patterned(size), { mtime });
  }
  for (let index = 0; index < 800; index++) {
    const name = `${index % 7}-${'long-name-'.repeat(index % 9)}${index}`;
    tree.putFile(`crowd/${name}`, new Uint8Array(0), { mtime });
  }
  for (const name of ['!', '-', '.hidden', '..more', '\u{1f98e}', '\ufffd', 'a', 'A', 'é']) {
    tree.putFile(`order/${name}`, utf8(name));
  }
  tree.putFile(`order/${decodeName(Uint8Array.of(0xf5))}`, utf8('last'));
  tree.putSymlink('links/short', 'x');
  tree.putSymlink('links/longest', `${'d/'.repeat(2047)}e`);
  putAttributes(tree);
  return tree;
}

function putAttributes(tree: MemoryTree): void {
  const label = utf8('system_u:object_r:usr_t:s0\0');
  for (let index = 0; index < 20; index++) {
    tree.putFile(`labelled/${index}`, patterned(index * 300), {
      mtime,
      xattrs: new Map([
        ['security.selinux', label],
        ['user.own', utf8(`number ${index}`)],
      ]),
    });
  }
  const many = Array.from({ length: 40 }, (_, index): [string, Uint8Array] => [
    `user.many.${index}`,
    patterned(index * 7),
  ]);
  const put = (path: string, xattrs: Attributes['xattrs'] & object) =>
    tree.putFile(path, patterned(100), { mtime, xattrs });
  put('attributes/many', new Map(many));
  put('attributes/large', new Map([['trusted.large', patterned(9000)]]));
  put('attributes/largest', new Map([['trusted.largest', patterned(0xffff)]]));
  put('attributes/acl', new Map([['system.posix_acl_access', acl]]));
  tree.putDirectory('attributes/folder', { mtime, xattrs: new Map([['trusted.x', utf8('y')]]) });
}

/** user::rw-, user:1000:r--, group::r--, mask::r--, other::r-- (Linux posix_acl_xattr.h). */
const acl = new Uint8Array(
  Buffer.from(
    '02000000' +
      '01000600ffffffff' +
      '02000400e8030000' +
      '04000400ffffffff' +
      '10000400ffffffff' +
      '20000400ffffffff',
    'hex',
  ),
);

export function patterned(size: number): Uint8Array {
  return new Uint8Array(size).map((_, at) => (at * 31 + (at >> 8)) % 251);
}
