import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import { MemoryTree } from '@anole/vfs';
import { sparseContent } from '../../vfs/src/tar/sparse-content.ts';
import { utf8 } from '../../vfs/test/trees.ts';
import { openErofs } from '../src/index.ts';
import { exercise, fuzz } from './damage.ts';
import { imageOf } from './judges.ts';
import { patterned } from './trees.ts';

/** A tree of everything, small, so that damage hits something that counts. */
function target(): MemoryTree {
  const tree = new MemoryTree();
  const label = new Map([['security.selinux', utf8('a label of some length\0')]]);
  tree.putFile('plain', patterned(9000), { xattrs: label });
  tree.putFile('deep/er/inline', patterned(700), { xattrs: label, uid: 100_000 });
  tree.putSymlink('deep/link', '../plain');
  tree.putSpecial('null', 'character', { rdev: { major: 1, minor: 3 } });
  tree.putLink('deep/again', 'plain');
  tree.putFile('own', utf8('x'), { xattrs: new Map([['user.own', patterned(40)]]) });
  const content = memorySource(patterned(4096));
  tree.putFile('holes', sparseContent(content, [{ offset: 8192, length: 4096 }], 50_000));
  for (let index = 0; index < 300; index++) {
    tree.putFile(`crowd/a-name-of-some-length-${index}`, new Uint8Array(0));
  }
  return tree;
}

test('a damaged image gives coded errors only, in bounded time', async () => {
  const image = await imageOf(target());
  assert.ok(exercise(image) > 300);
  fuzz(image, 1500);
});

test('bytes that are no image are refused', () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(1151), new Uint8Array(8192)]) {
    assert.throws(
      () => openErofs(memorySource(bytes)),
      (error) => AnoleError.is(error) && error.code === 'EROFS_BAD_SUPERBLOCK',
    );
  }
});
