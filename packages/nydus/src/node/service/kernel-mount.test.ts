import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { OnDemandImage } from '../on-demand/image.ts';
import type { Filler } from './filler.ts';
import { mountByKernel } from './kernel-mount.ts';
import type { DescriptorKeeper } from './mount.ts';

it('the kernel mounts nothing whose metadata the disk does not take', async () => {
  const blob = (id: string, isKept: boolean) => ({ id, fd: 0, settle: async () => isKept });
  const image = {
    blobs: [blob('metadata', false), blob('device', true)],
    loadMetadata: async () => undefined,
  } as unknown as OnDemandImage;
  const filler = {
    add: () => undefined,
    remove: () => true,
    opened: () => {},
  } as unknown as Filler;
  const held = new Set<string>();
  const keeper = {
    keep: async (name: string) => void held.add(name),
    release: (name: string) => void held.delete(name),
  } as unknown as DescriptorKeeper;
  await assert.rejects(mountByKernel(image, { directory: '/nowhere' }, filler, keeper), {
    code: 'HOST_NO_SPACE',
  });
  assert.deepEqual([...held], []);
});
