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

it('the kernel mounts nothing of which a file cannot be watched, and leaves the others', async () => {
  const blobs = ['metadata', 'device', 'other'].map((id) => ({ id, fd: 0 }));
  const image = { blobs } as unknown as OnDemandImage;
  const watched = new Set<unknown>();
  const opening = new Set<unknown>();
  const filler = {
    add(blob: { readonly id: string }) {
      if (blob.id === 'device') throw new Error('the kernel has no memory');
      for (const each of [watched, opening]) each.add(blob);
    },
    remove: (blob: unknown) => watched.delete(blob),
    opened: (blob: unknown) => assert.ok(opening.delete(blob)),
  } as unknown as Filler;
  const keeper = { release: () => undefined } as unknown as DescriptorKeeper;
  const mounting = mountByKernel(image, { directory: '/nowhere' }, filler, keeper);
  await assert.rejects(mounting, /no memory/);
  assert.deepEqual([watched.size, opening.size], [0, 0]);
});
