import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { encodeName, memorySource } from '@anole/bytes';
import fc from 'fast-check';
import { missing, type PythonMember, pythonMembers } from '../../test/judges.ts';
import { all, arbitraryTree, collect, pieces, sampleTree, utf8 } from '../../test/trees.ts';
import {
  describeDifferences,
  MemoryTree,
  readTar,
  treeFromTar,
  type WalkEntry,
  walk,
  writeTar,
} from '../index.ts';

describe('writeTar', () => {
  it('writes what treeFromTar reads back the same, from a Source and from a stream', async () => {
    const tree = sampleTree();
    const archive = await collect(writeTar(tree));
    assert.equal(await describeDifferences(tree, await treeFromTar(memorySource(archive))), '');
    assert.equal(await describeDifferences(tree, await treeFromTar(pieces(archive, 1000))), '');
  });

  it('writes any tree so that it is read back the same', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryTree, fc.integer({ min: 1, max: 3000 }), async (tree, size) => {
        const archive = await collect(writeTar(tree));
        const back = await treeFromTar(pieces(archive, size));
        assert.equal(await describeDifferences(tree, back), '');
      }),
      { seed: 10, numRuns: 150 },
    );
  });

  it('gives the same bytes for the same tree, however it was made', async () => {
    const one = new MemoryTree();
    one.putFile('a', utf8('1'));
    one.putFile('b', utf8('2'));
    const other = new MemoryTree();
    other.putFile('b', utf8('2'));
    other.putFile('a', utf8('1'));
    assert.deepEqual(await collect(writeTar(one)), await collect(writeTar(other)));
  });

  it('uses plain ustar headers where everything fits', async () => {
    const tree = new MemoryTree();
    tree.putFile(`${'d'.repeat(90)}/${'e'.repeat(60)}`, utf8('x'), {
      mtime: { seconds: 1, nanoseconds: 0 },
    });
    for (const entry of await all(readTar(memorySource(await collect(writeTar(tree)))))) {
      assert.equal(entry.pax.size, 0);
    }
  });

  it('leaves holes out, or writes them when told to', async () => {
    const tree = sampleTree();
    const sparse = await collect(writeTar(tree));
    const plain = await collect(writeTar(tree, { sparse: false }));
    assert.ok(plain.length - sparse.length > 2_900_000);
    assert.equal(await describeDifferences(tree, await treeFromTar(memorySource(plain))), '');
  });

  it('leaves sockets out and says so', async () => {
    const tree = new MemoryTree();
    tree.putSpecial('run/socket', 'socket');
    const skipped: string[] = [];
    const archive = await collect(writeTar(tree, { onSkip: (path) => skipped.push(path) }));
    assert.deepEqual(skipped, ['run/socket']);
    assert.deepEqual(
      (await all(readTar(memorySource(archive)))).map(({ path }) => path),
      ['', 'run'],
    );
  });

  it('refuses a file that ends before its size', async () => {
    const tree = new MemoryTree();
    tree.putFile('short', { size: 1000, read: () => new Uint8Array(0) });
    await assert.rejects(collect(writeTar(tree)), { code: 'VFS_IO' });
  });

  it('stops when it is told to', async () => {
    const signal = AbortSignal.abort();
    await assert.rejects(collect(writeTar(sampleTree(), { signal })), { name: 'AbortError' });
  });

  it("writes what Python's tarfile reads the same", { skip: missing('python3') }, async () => {
    const tree = sampleTree();
    const members = pythonMembers(await collect(writeTar(tree, { prefix: '' })));
    const expected: PythonMember[] = [];
    for await (const entry of walk(tree)) expected.push(await asPythonSees(entry));
    assert.deepEqual(members, expected);
  });
});

const flags = { file: '0', symlink: '2', character: '3', block: '4', directory: '5', fifo: '6' };

async function asPythonSees({ path, node, linkTo }: WalkEntry): Promise<PythonMember> {
  const { stat } = node;
  const { seconds, nanoseconds } = stat.mtime;
  const isFile = stat.type === 'file' && linkTo === undefined;
  const content = isFile ? await node.read(0, stat.size) : undefined;
  const xattrs = linkTo === undefined ? await node.xattrs() : new Map<string, Uint8Array>();
  const target = linkTo ?? (stat.type === 'symlink' ? await node.readLink() : '');
  return {
    name: hex(encodeName(path)),
    type: linkTo === undefined ? flags[stat.type as keyof typeof flags] : '1',
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    size: content?.length ?? 0,
    mtime:
      nanoseconds === 0
        ? String(seconds)
        : seconds < 0
          ? `-0.${1e9 - nanoseconds}`.replace(/0+$/, '')
          : `${seconds}.${nanoseconds}`,
    link: hex(encodeName(target)),
    device: [stat.rdev?.major ?? 0, stat.rdev?.minor ?? 0],
    xattrs: Object.fromEntries(
      // Python does not undo the escapes of names that GNU tar makes.
      [...xattrs].map(([name, value]) => [
        name.replace('%', '%25').replace('=', '%3D'),
        hex(value),
      ]),
    ),
    sha256: content ? createHash('sha256').update(content).digest('hex') : '',
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
