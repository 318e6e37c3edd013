import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memorySource } from '@anole/bytes';
import { MemoryTree, memoryOverlay, type Tree } from '@anole/vfs';
import fc from 'fast-check';
import type { FuseOptions, Window } from './index.ts';
import { join, Kernel, u32, u64 } from './kernel.fixture.ts';
import { ATTR_DAX, InitFlag, InitFlag2 } from './layout/flags.ts';
import { Opcode } from './layout/opcodes.ts';

const EINVAL = 22;
const EROFS = 30;
const EOPNOTSUPP = 95;
const EVERYTHING = -1 & ~InitFlag.INIT_EXT;
const RANGE = 0x20_0000;
const LARGE = RANGE + 0x4_5678;

/** Memory of which nothing may be asked that does not lie within. */
class TestWindow implements Window {
  readonly bytes: Uint8Array;

  constructor(size = 4 * RANGE) {
    this.bytes = new Uint8Array(size).fill(0xee);
  }

  get size(): number {
    return this.bytes.length;
  }

  at(offset: number, length: number): Uint8Array {
    assert.ok(offset >= 0 && length >= 0 && offset + length <= this.size);
    return this.bytes.subarray(offset, offset + length);
  }
}

const content = Uint8Array.from({ length: LARGE }, (_, at) => (at * 31 + (at >>> 8)) & 0xff);

function tree(): MemoryTree {
  const made = new MemoryTree();
  made.putFile('large', content);
  made.putFile('small', content.subarray(0, 1000));
  made.putFile('program', content, { mode: 0o755 });
  return made;
}

function mapping(window: Window, options: FuseOptions = {}, of: Tree = tree()): Kernel {
  const { HAS_INODE_DAX } = InitFlag2;
  return new Kernel(of, { mountedReadOnly: true, window, ...options }, EVERYTHING, HAS_INODE_DAX);
}

const map = (offset: number, windowOffset: number, length = RANGE, flags = 2) =>
  join(u64(0), u64(offset), u64(length), u64(flags), u64(windowOffset));

const hasFlag = ({ attr }: { attr: { flags: number } }) => (attr.flags & ATTR_DAX) !== 0;

describe('files that the kernel maps', () => {
  it('are agreed on where both sides have a window', () => {
    const both = mapping(new TestWindow());
    assert.equal(both.agreed2, InitFlag2.HAS_INODE_DAX);
    assert.ok(both.agreed & InitFlag.MAP_ALIGNMENT);
    assert.ok(both.agreed & InitFlag.INIT_EXT);
    const { HAS_INODE_DAX } = InitFlag2;
    const options = { mountedReadOnly: true, window: new TestWindow() };
    const none = [
      mapping(new TestWindow(0)),
      new Kernel(tree(), options, EVERYTHING),
      new Kernel(tree(), options, EVERYTHING & ~InitFlag.MAP_ALIGNMENT, HAS_INODE_DAX),
      new Kernel(tree(), { mountedReadOnly: true }, EVERYTHING, HAS_INODE_DAX),
    ];
    for (const kernel of none) {
      assert.equal(kernel.agreed2, 0);
      assert.equal(kernel.agreed & InitFlag.MAP_ALIGNMENT, 0);
      const large = kernel.walk('large');
      assert.equal(hasFlag(large), false);
      assert.equal(kernel.ask('SETUPMAPPING', large.nodeid, map(0, 0)).error, EOPNOTSUPP);
      assert.equal(kernel.ask('REMOVEMAPPING', large.nodeid, u32(0, 0)).error, EOPNOTSUPP);
    }
  });

  it('are never those of a tree that the kernel or others change', () => {
    assert.equal(mapping(new TestWindow(), {}, memoryOverlay(tree())).agreed2, 0);
    assert.equal(mapping(new TestWindow(), { exclusive: false }).agreed2, 0);
  });

  it('are large and no programs', () => {
    const kernel = mapping(new TestWindow());
    assert.equal(hasFlag(kernel.walk('large')), true);
    for (const name of ['small', 'program']) {
      const other = kernel.walk(name);
      assert.equal(hasFlag(other), false);
      assert.equal(kernel.ask('SETUPMAPPING', other.nodeid, map(0, 0)).error, EOPNOTSUPP);
    }
    assert.equal(kernel.ask('SETUPMAPPING', 1, map(0, 0)).error, EOPNOTSUPP);
  });

  it('are not named before the kernel may believe what it is told', () => {
    const kernel = mapping(new TestWindow(), { unsettled: true });
    const { nodeid } = kernel.walk('large');
    assert.equal(hasFlag(kernel.walk('large')), false);
    assert.equal(kernel.ask('SETUPMAPPING', nodeid, map(0, 0)).error, EOPNOTSUPP);
    kernel.server.settle();
    assert.equal(hasFlag(kernel.walk('large')), true);
    assert.equal(kernel.ask('SETUPMAPPING', nodeid, map(0, 0)).error, 0);
  });

  it('lie in the window as they are, and as zeros behind their end', () => {
    const window = new TestWindow();
    const kernel = mapping(window);
    const { nodeid } = kernel.walk('large');
    assert.equal(kernel.ask('SETUPMAPPING', nodeid, map(0, RANGE)).error, 0);
    assert.equal(kernel.ask('SETUPMAPPING', nodeid, map(RANGE, 3 * RANGE)).error, 0);
    assert.deepEqual(window.bytes.subarray(RANGE, 2 * RANGE), content.subarray(0, RANGE));
    const rest = LARGE - RANGE;
    assert.deepEqual(window.bytes.subarray(3 * RANGE, 3 * RANGE + rest), content.subarray(RANGE));
    const tail = window.bytes.subarray(3 * RANGE + rest);
    assert.ok(tail.subarray(0, -rest & 4095).every((byte) => byte === 0));
    for (const other of [window.bytes.subarray(0, RANGE), tail.subarray(-rest & 4095)]) {
      assert.ok(
        other.every((byte) => byte === 0xee),
        'nothing else is written',
      );
    }
    assert.equal(kernel.ask('REMOVEMAPPING', nodeid, join(u32(1, 0), u64(RANGE, RANGE))).error, 0);
  });

  it('come from trees that take their time, too', async () => {
    const slow = new MemoryTree();
    slow.putFile('large', {
      size: LARGE,
      read: async (offset, length) => memorySource(content).read(offset, length),
    });
    const window = new TestWindow();
    const kernel = mapping(window, {}, slow);
    const { nodeid } = kernel.walk('large');
    assert.equal((await kernel.askSlow('SETUPMAPPING', nodeid, map(0, 0))).error, 0);
    assert.deepEqual(window.bytes.subarray(0, RANGE), content.subarray(0, RANGE));
  });

  it('are not written', () => {
    const kernel = mapping(new TestWindow());
    const { nodeid } = kernel.walk('large');
    assert.equal(kernel.ask('SETUPMAPPING', nodeid, map(0, 0, RANGE, 3)).error, EROFS);
  });

  it('are mapped within the window only, a range at a time', () => {
    const window = new TestWindow();
    const kernel = mapping(window);
    const { nodeid } = kernel.walk('large');
    const refused = [
      map(0, window.size),
      map(0, window.size - 4096),
      map(0, 0, RANGE + 4096),
      map(0, 0, 0),
      map(1, 0),
      map(0, 8),
      map(2 ** 32 + 1, 0),
    ];
    for (const args of refused) {
      assert.equal(kernel.ask('SETUPMAPPING', nodeid, args).error, EINVAL);
    }
    assert.ok(window.bytes.every((byte) => byte === 0xee));
    assert.equal(kernel.ask('SETUPMAPPING', nodeid, map(2 ** 40, 0)).error, 0, 'behind the end');
    assert.ok(window.bytes.every((byte) => byte === 0xee));
  });

  it('are mapped or refused whatever is asked for', () => {
    const kernel = mapping(new TestWindow());
    const { nodeid } = kernel.walk('large');
    const number = fc.oneof(
      fc.constantFrom(0n, 1n, 4096n, BigInt(RANGE), 2n ** 53n, 2n ** 63n, 2n ** 64n - 4096n),
      fc.bigInt(0n, BigInt(8 * RANGE)),
      fc.bigInt(0n, 2n ** 64n - 1n),
    );
    fc.assert(
      fc.property(fc.array(number, { minLength: 5, maxLength: 5 }), (numbers) => {
        const args = new Uint8Array(new BigUint64Array(numbers).buffer);
        const { error } = kernel.ask('SETUPMAPPING', nodeid, args);
        assert.ok([0, EINVAL, EROFS, 27].includes(error), `errno ${error}`);
      }),
      { seed: 44, numRuns: 500 },
    );
    const short = kernel.server.handle(kernel.request(Opcode.SETUPMAPPING, nodeid, u64(0)));
    assert.ok(Array.isArray(short));
  });
});
