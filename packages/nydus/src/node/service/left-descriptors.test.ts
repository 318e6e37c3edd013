import assert from 'node:assert/strict';
import { fstatSync, openSync } from 'node:fs';
import { describe, it } from 'node:test';
import { hasNative } from '@anole/host/native';
import { OpenFiles } from '../passing/open-files.ts';
import { LeftDescriptors } from './left-descriptors.ts';
import type { MountRecord } from './mount-record.ts';
import { StrandedMounts } from './stranded.ts';

const names = { device: 'fuse 1 /mnt', open: 'open 1 /mnt' };
const isClosed = (fd: number) => {
  try {
    fstatSync(fd);
    return false;
  } catch {
    return true;
  }
};

/** A device that answers nothing, and a table in which a file is open. */
function left() {
  const device = openSync('/dev/null', 'r+');
  using table = OpenFiles.make();
  table.opened(7, 0);
  const open = openSync(`/proc/self/fd/${table.fd}`, 'r+');
  return { device, open };
}

describe('descriptors of a mount that nobody serves', {
  skip: hasNative() ? false : 'needs koffi',
}, () => {
  it('are closed where the device is not among them', () => {
    const { device, open } = left();
    assert.equal(LeftDescriptors.among(new Map([[names.open, open]]), names), undefined);
    assert.ok(isClosed(open));
    const found = LeftDescriptors.among(new Map([[names.device, device]]), names)!;
    assert.equal(found.open, undefined);
    found[Symbol.dispose]();
    assert.ok(isClosed(device));
  });

  for (const isRead of [false, true]) {
    it(`are closed when it is given up${isRead ? ', once the table was read' : ''}`, () => {
      const { device, open } = left();
      const all = new Map([
        [names.device, device],
        [names.open, open],
      ]);
      const found = LeftDescriptors.among(all, names)!;
      if (isRead) {
        assert.deepEqual(found.open!.get(7), { id: 0, opens: 1 });
        assert.equal(found.open, found.open, 'there is one, however often it is tried');
      }
      assert.ok(!isClosed(device) && !isClosed(open));
      found[Symbol.dispose]();
      assert.ok(isClosed(device) && isClosed(open));
    });
  }
});

describe('mounts that cannot be taken over yet', () => {
  const record = { directory: '/mnt', kind: 'fuse', image: { name: 'web' }, since: 1 } as const;

  /** One that fails to be taken over, and how often it was given up. */
  async function stranded(
    test: { after(end: () => void): void },
    adopts: ((known: () => MountRecord) => Promise<void>)[],
  ) {
    const all = new StrandedMounts({ onFailure() {}, onChange() {} });
    test.after(() => all.close());
    const given = { up: 0 };
    const adopt = (known: () => MountRecord) =>
      adopts.shift()?.(known) ?? Promise.reject(new Error('away'));
    await all.adopt(record as never, {
      adopt,
      [Symbol.dispose]() {
        given.up++;
      },
    });
    return { all, given };
  }

  it('are given up when they are unmounted', async (test) => {
    const { all, given } = await stranded(test, []);
    assert.equal(all.records.length, 1);
    assert.equal(given.up, 0);
    all.unmounted(record as never);
    assert.equal(all.records.length, 0);
    assert.equal(given.up, 1);
  });

  for (const isTaken of [true, false]) {
    it(`are not given up while they are ${isTaken ? '' : 'in vain '}taken over`, async (test) => {
      test.mock.timers.enable({ apis: ['setTimeout'] });
      const begun = Promise.withResolvers<void>();
      const coming = Promise.withResolvers<void>();
      let isDetached: boolean | undefined;
      const second = async (known: () => MountRecord) => {
        begun.resolve();
        await coming.promise;
        ({ isDetached } = known());
      };
      const first = () => Promise.reject(new Error('away'));
      const { all, given } = await stranded(test, [first, second]);
      test.mock.timers.tick(2000);
      await begun.promise;
      all.unmounted(record as never);
      assert.equal(given.up, 0, 'its descriptors are in use');
      if (isTaken) coming.resolve();
      else coming.reject(new Error('away'));
      await new Promise(setImmediate);
      assert.equal(given.up, isTaken ? 0 : 1);
      assert.equal(isDetached, isTaken ? true : undefined, 'it is on its directory no more');
      assert.equal(all.records.length, 0);
    });
  }
});
