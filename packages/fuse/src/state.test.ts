import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryTree, memoryOverlay } from '@anole/vfs';
import { type FuseFork, FuseServer, type FuseState, readFuseFork, writeFuseFork } from './index.ts';
import { attrOf, entryOf, Kernel, string, u64 } from './kernel.fixture.ts';
import { Opcode } from './layout/opcodes.ts';
import { AttrOut } from './layout/replies.ts';

const ESTALE = 116;
const encoder = new TextEncoder();

function image(content: string, more: (tree: MemoryTree) => void = () => {}): MemoryTree {
  const tree = new MemoryTree();
  tree.putFile('dir/file', encoder.encode(content));
  more(tree);
  return tree;
}

const found = (kernel: Kernel, parent: number, name: string) =>
  entryOf(kernel.ask('LOOKUP', parent, string(name)).body);

function forget(kernel: Kernel, nodeid: number): void {
  kernel.server.handle(kernel.request(Opcode.FORGET, nodeid, u64(1)));
}

/** A kernel that goes on with a server of another tree. */
async function moved(kernel: Kernel, tree: MemoryTree): Promise<Kernel> {
  const state = JSON.parse(JSON.stringify(kernel.server.saveState())) as FuseState;
  const next = new Kernel(memoryOverlay(tree));
  await next.server.restoreState(state);
  return next;
}

describe('a server that another one’s kernel goes on with', () => {
  it('knows the nodes by their numbers, in its own tree', async () => {
    const kernel = new Kernel(memoryOverlay(image('one')), { unsettled: true });
    const dir = found(kernel, 1, 'dir');
    const file = found(kernel, dir.nodeid, 'file');
    assert.equal(file.attr.size, 3);
    const next = await moved(
      kernel,
      image('three', (tree) => tree.putFile('a', new Uint8Array(1))),
    );
    const again = found(next, dir.nodeid, 'file');
    assert.deepEqual([again.nodeid, again.attr.size], [file.nodeid, 5]);
    assert.equal(next.server.knownNodes, 3);
    // Told of it twice now, by two servers.
    next.ask('GETATTR', file.nodeid, u64(0, 0));
    const other = found(next, 1, 'a');
    assert.ok(other.nodeid > file.nodeid);
  });

  it('knows a file by any of its names, whichever the kernel asked for last, or forgot', async () => {
    const linked = () => image('one', (tree) => tree.putLink('other/name', 'dir/file'));
    const kernel = new Kernel(memoryOverlay(linked()));
    const file = found(kernel, found(kernel, 1, 'dir').nodeid, 'file');
    const other = found(kernel, 1, 'other');
    assert.equal(found(kernel, other.nodeid, 'name').nodeid, file.nodeid);
    const readable = async () => {
      const next = await moved(kernel, linked());
      assert.equal(next.ask('GETATTR', file.nodeid, u64(0, 0)).error, 0);
      return next.server.knownNodes;
    };
    assert.equal(await readable(), 4);
    forget(kernel, other.nodeid);
    assert.equal(await readable(), 3);
  });

  it('is not said where a node has lost its names, and has the others where that is said', () => {
    const kernel = new Kernel(memoryOverlay(image('one')));
    const dir = found(kernel, 1, 'dir');
    const file = found(kernel, dir.nodeid, 'file');
    kernel.ask('UNLINK', dir.nodeid, string('file'));
    assert.equal(kernel.server.saveState(), undefined);
    const { nodes } = kernel.server.saveNamed();
    assert.deepEqual(
      nodes.map(({ nodeid }) => nodeid),
      [dir.nodeid],
    );
    forget(kernel, file.nodeid);
    assert.equal(kernel.server.saveState()?.nodes.length, 1);
  });

  it('knows of which names the kernel was told that they are not there', async () => {
    const kernel = new Kernel(memoryOverlay(image('one')));
    const dir = found(kernel, 1, 'dir');
    kernel.ask('LOOKUP', dir.nodeid, string('absent'));
    kernel.ask('LOOKUP', 1, string('absent, too'));
    const next = await moved(kernel, image('one'));
    const ino = Number(found(next, 1, 'dir').attr.ino);
    const stale = next.server.changed(ino, ['file', 'absent', 'never asked for']);
    assert.deepEqual(stale, { ino, path: ['dir'], present: [], absent: ['absent'] });
    const root = Number(attrOf(next.ask('GETATTR', 1, u64(0, 0)).body, AttrOut).ino);
    assert.deepEqual(next.server.changed(root, ['absent, too'])?.absent, ['absent, too']);
  });

  it('has no node for what is not there, or is of another type', async () => {
    const kernel = new Kernel(
      memoryOverlay(image('one', (tree) => tree.putFile('x', encoder.encode('x')))),
      {
        unsettled: true,
      },
    );
    const dir = found(kernel, 1, 'dir');
    const file = found(kernel, dir.nodeid, 'file');
    const x = found(kernel, 1, 'x');
    const tree = new MemoryTree();
    tree.putFile('dir', encoder.encode('a file'));
    tree.putFile('new', encoder.encode('new'));
    const next = await moved(kernel, tree);
    for (const { nodeid } of [dir, file, x]) {
      assert.equal(next.ask('GETATTR', nodeid, u64(0, 0)).error, ESTALE);
    }
    assert.ok(found(next, 1, 'new').nodeid > x.nodeid);
  });

  it('lets the kernel believe nothing until it settles', () => {
    const kernel = new Kernel(memoryOverlay(image('one')), { unsettled: true });
    const valid = () => {
      const { body } = kernel.ask('LOOKUP', 1, string('dir'));
      return new DataView(body.buffer, body.byteOffset).getUint32(16, true);
    };
    assert.equal(valid(), 0);
    kernel.server.settle();
    assert.ok(valid() > 1e6);
  });

  it('refuses states that no server had', async () => {
    const server = new FuseServer(memoryOverlay());
    const node = { nodeid: 2, parent: 1, name: 'a', type: 'file', lookups: 1 };
    for (const state of [
      {},
      { next: -1, nodes: [] },
      { next: 9, nodes: [null] },
      { next: 2, nodes: [node] },
      { next: 9, nodes: [{ ...node, name: 1 }] },
      { next: 9, nodes: [{ ...node, nodeid: 1 }] },
      { next: 9, agreed: 'x', nodes: [] },
    ]) {
      await assert.rejects(server.restoreState(state as unknown as FuseState), {
        code: 'FUSE_BAD_STATE',
      });
    }
    await server.restoreState({ next: 9, nodes: [{ ...node, name: 'gone', parent: 5 }] });
    assert.equal(server.knownNodes, 1);
  });

  it('is forked in lines of text, which are refused where no server wrote them', () => {
    const tree = memoryOverlay(image('one'));
    const kernel = new Kernel(tree);
    const dir = found(kernel, 1, 'dir');
    const file = found(kernel, dir.nodeid, 'file');
    kernel.ask('LOOKUP', dir.nodeid, string('absent'));
    kernel.ask('LOOKUP', 1, string('missing'));
    kernel.server.changed(tree.root.stat.ino, ['dir']);
    const fork = kernel.server.forkState();
    const lines = [...writeFuseFork(fork)];
    const read = readFuseFork(lines);
    assert.deepEqual(read, { ...fork, drops: fork.drops.map((drop) => ({ ...drop })) });
    assert.equal(read.rootTold.get('missing'), 0);
    const next = new Kernel(tree);
    next.server.continueFork(read, (ino) => tree.node(ino));
    assert.equal(next.ask('GETATTR', file.nodeid, u64(0, 0)).error, 0);
    const bad = (change: (line: string) => string | undefined) => {
      const changed = lines.map(change).filter((line) => line !== undefined);
      assert.throws(() => readFuseFork(changed), { code: 'FUSE_BAD_STATE' });
    };
    bad((line) => (line === lines.at(-1) ? undefined : line));
    bad((line) => line.replace('"nodeid":2', '"nodeid":1'));
    bad((line) => line.replace('"nodeid":2', '"nodeid":99'));
    bad((line) => line.replace('"ino":', '"no":'));
    bad((line) => line.replace('["missing",0]', '["missing",-1]'));
    bad((line) => line.replace('"lookups":1', '"lookups":null'));
    assert.throws(() => readFuseFork([]), { code: 'FUSE_BAD_STATE' });
    const other: FuseFork = {
      ...read,
      nodes: read.nodes.map((node) => ({ ...node, type: 'fifo' })),
    };
    const third = new Kernel(tree);
    third.server.continueFork(other, (ino) => tree.node(ino));
    assert.equal(third.server.knownNodes, 1);
  });
});
