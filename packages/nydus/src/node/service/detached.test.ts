import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DetachedMounts, type Served } from './detached.ts';

test('mounts that nobody has any more are given up, although one cannot be', async (test) => {
  test.mock.timers.enable({ apis: ['setInterval'] });
  const faults: unknown[] = [];
  let gone = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const mounts = new DetachedMounts(
    () => ++gone === 2 && resolve(),
    (error) => void faults.push(error),
  );
  let isInUse = true;
  const released: string[] = [];
  const served = (name: string, fault?: Error): Served => {
    const release = async () => {
      if (fault) throw fault;
      released.push(name);
    };
    const mount = { isInUse: () => isInUse, release };
    return { record: {} as Served['record'], mount: mount as unknown as Served['mount'] };
  };
  const fault = new Error('the file is gone');
  await mounts.add(served('first', fault));
  await mounts.add(served('second'));
  isInUse = false;
  test.mock.timers.tick(1000);
  await promise;
  assert.deepEqual(faults, [fault]);
  assert.deepEqual(released, ['second']);
  assert.deepEqual(mounts.all, []);
  mounts.close();
});
