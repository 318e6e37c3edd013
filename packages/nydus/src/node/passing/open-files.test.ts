import assert from 'node:assert/strict';
import { openSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { hasNative, memoryFile } from '@anole/host/native';
import fc from 'fast-check';
import { OpenFiles } from './open-files.ts';

/** Files that it notes at once. */
const SLOTS = 4096;

/** Another descriptor of the same memory, as a keeper has it. */
const kept = (files: OpenFiles) => openSync(`/proc/self/fd/${files.fd}`, 'r+');

describe('the table of open files', { skip: hasNative() ? false : 'needs koffi' }, () => {
  it('is known to the next who has its descriptor', () => {
    using first = OpenFiles.make();
    const far = 2 ** 52 + 2 ** 33 + 7;
    first.opened(far, 5);
    first.opened(far, 5);
    first.opened(8, 0);
    first.opened(9, 1);
    assert.equal(first.closed(9), true);
    using next = OpenFiles.resume(kept(first));
    assert.deepEqual(next.get(far), { id: 5, opens: 2 });
    assert.deepEqual(next.get(8), { id: 0, opens: 1 });
    assert.equal(next.get(9), undefined);
    assert.equal(next.hasPassed, true);
    assert.equal(next.closed(far), false);
    assert.equal(next.closed(far), true);
    assert.equal(next.closed(far), false, 'it is not open');
    assert.equal(next.hasPassed, false);
  });

  it('notes no file while one is open that it could not note', () => {
    using files = OpenFiles.make();
    for (let ino = 1; ino <= SLOTS; ino++) files.opened(ino, 0);
    assert.equal(files.hasRoom, false);
    assert.equal(files.hasOthers, false);
    files.opened(5000, 0);
    files.opened(5000, 0);
    assert.equal(files.get(5000), undefined);
    assert.equal(files.closed(5000), false);
    assert.equal(files.closed(7), true);
    using next = OpenFiles.resume(kept(files));
    assert.equal(next.hasRoom, false, '5000 is still open');
    next.opened(6000, 0);
    assert.equal(next.get(6000), undefined);
    assert.equal(next.closed(6000), false);
    assert.equal(next.closed(5000), false);
    assert.equal(next.hasRoom, true);
    next.opened(6000, 3);
    assert.deepEqual(next.get(6000), { id: 3, opens: 1 });
    assert.equal(next.hasRoom, false);
  });

  it('counts as a map does', () => {
    const step = fc.record({ ino: fc.integer({ min: 1, max: 6 }), isOpen: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        using files = OpenFiles.make();
        const model = new Map<number, number>();
        for (const { ino, isOpen } of steps) {
          const opens = model.get(ino) ?? 0;
          if (isOpen) files.opened(ino, ino % 3);
          else assert.equal(files.closed(ino), opens === 1);
          model.set(ino, Math.max(0, opens + (isOpen ? 1 : -1)));
        }
        using next = OpenFiles.resume(kept(files));
        for (const each of [files, next]) {
          for (const [ino, opens] of model) assert.equal(each.get(ino)?.opens ?? 0, opens);
        }
      }),
      { numRuns: 100, seed: 195 },
    );
  });

  it('is taken up whatever it has', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4099), fc.uint8Array({ minLength: 16 }))), (all) => {
        const fd = memoryFile('open files', 4 * (4 + 4 * 4096));
        for (const [slot, bytes] of all) writeSync(fd, bytes, 0, 16, Math.min(slot, SLOTS) * 16);
        using files = OpenFiles.resume(fd);
        const { hasRoom } = files;
        const before = files.get(1)?.opens ?? 0;
        files.opened(1, 2);
        const isNoted = before > 0 || hasRoom;
        assert.equal(files.get(1)?.opens ?? 0, isNoted ? before + 1 : 0);
        assert.equal(files.closed(1), isNoted && before === 0);
        assert.equal(files.get(1)?.opens ?? 0, before);
      }),
      { numRuns: 100, seed: 196 },
    );
  });
});
