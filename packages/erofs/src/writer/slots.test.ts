import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SlotAllocator } from './slots.ts';

test('places never overlap, and none crosses a block that could fit one', () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 4096 }), fc.integer({ min: 4097, max: 70_000 }));
  fc.assert(
    fc.property(fc.array(size, { maxLength: 200 }), (sizes) => {
      const slots = new SlotAllocator(4096, 1152);
      const places = sizes.map((bytes) => ({ start: slots.place(bytes), bytes }));
      places.sort((a, b) => a.start - b.start);
      let end = 1152;
      for (const { start, bytes } of places) {
        assert.ok(start >= end && start % 32 === 0);
        if (bytes <= 4096) assert.ok((start % 4096) + bytes <= 4096);
        else assert.equal(start % 4096, 0);
        end = start + bytes;
      }
      assert.ok(end <= slots.end && slots.end % 4096 === 0);
    }),
    { seed: 3 },
  );
});

test('small ones fill what larger ones left', () => {
  const slots = new SlotAllocator(4096, 1152);
  for (let count = 0; count < 100; count++) slots.place(3000);
  const before = slots.end;
  for (let count = 0; count < 1000; count++) slots.place(64);
  assert.equal(slots.end, before);
});
