import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type FuseFork, packFuseFork, unpackFuseFork } from './index.ts';

const number = fc.maxSafeNat();
const name = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '/'));
const told = fc.array(fc.tuple(name, number)).map((pairs) => new Map(pairs));
const node = fc.record(
  {
    nodeid: number,
    ino: number,
    type: fc.constantFrom('file', 'directory', 'symlink', 'character', 'block', 'fifo', 'socket'),
    lookups: number,
    parentIno: number,
    name,
    told,
    powerless: fc.constant(true),
  },
  { requiredKeys: ['nodeid', 'ino', 'type', 'lookups', 'parentIno'], noNullPrototype: true },
);
const fork = fc.record(
  {
    agreed: fc.option(number, { nil: undefined }),
    next: number,
    nodes: fc.array(node),
    rootTold: told,
    drops: fc.constant([]),
  },
  { noNullPrototype: true },
) as fc.Arbitrary<FuseFork>;

describe('what a kernel knows, packed', () => {
  it('is the same when it was posted and unpacked', () => {
    fc.assert(
      fc.property(fork, (whole) => {
        assert.deepEqual(unpackFuseFork(structuredClone(packFuseFork(whole))), whole);
      }),
      { seed: 243 },
    );
  });

  it('is refused where its pieces do not fit together', () => {
    const nodes: FuseFork['nodes'] = [
      {
        nodeid: 2,
        ino: 7,
        type: 'directory',
        lookups: 1,
        parentIno: 1,
        name: 'd',
        told: new Map(),
      },
      { nodeid: 3, ino: 8, type: 'file', lookups: 2, parentIno: 7, name: 'f' },
    ];
    const packed = packFuseFork({ agreed: 0, next: 4, nodes, rootTold: new Map(), drops: [] });
    const bad = { code: 'FUSE_BAD_STATE' };
    const { names, numbers } = packed;
    assert.throws(() => unpackFuseFork({ ...packed, names: `${names}x\0` }), bad);
    assert.throws(() => unpackFuseFork({ ...packed, names: names.slice(2) }), bad);
    assert.throws(() => unpackFuseFork({ ...packed, numbers: numbers.subarray(1) }), bad);
    assert.throws(() => unpackFuseFork({ ...packed, numbers: numbers.subarray(0, -1) }), bad);
  });
});
