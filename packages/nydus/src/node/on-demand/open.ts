import type { CallOptions } from '@anole/bytes';
import { OciError } from '@anole/oci';
import { isWrongContent } from '../cache/remote-blob.ts';
import type { BlobPool } from './blob-pool.ts';
import {
  type ImageBlobs,
  type OnDemandForm,
  type OnDemandImage,
  type OnDemandReference,
  onDemandForm,
} from './image.ts';

type Opener = (
  reference: OnDemandReference,
  from: ImageBlobs,
  pool: BlobPool,
  call: CallOptions,
) => Promise<OnDemandImage>;

/** Loaded when they are needed: most images have one form. */
const openers: Readonly<Record<OnDemandForm, () => Promise<Opener>>> = {
  erofs: async () => (await import('./erofs-image.ts')).openErofsImage,
  rafs: async () => (await import('./rafs-image.ts')).openRafsImage,
  mapped: async () => (await import('./mapped-image.ts')).openMappedImage,
  layers: async () => (await import('./layered-image.ts')).openLayeredImage,
};

/** Loads what opening most images takes, so that the first one does not wait for it. */
export async function warmUp(): Promise<void> {
  await Promise.all([openers.erofs(), openers.mapped(), openers.layers()]);
}

/**
 * Opens an image whose data come when they are read. Whatever its form, it is an EROFS image with devices
 * from then on, whose bytes are verified ranges. Reading it raises what fetching does.
 *
 * @param from gives the bytes of layers. It passes to the image.
 * @throws OciError `OCI_UNSUPPORTED` for images that have to be fetched whole; what their formats raise
 */
export async function openOnDemand(
  reference: OnDemandReference,
  from: ImageBlobs,
  pool: BlobPool,
  call: CallOptions = {},
): Promise<OnDemandImage> {
  const form = onDemandForm(reference);
  try {
    if (form === undefined) throw notOnDemand(reference.name);
    const open = await openers[form]();
    const image = await open(reference, from, pool, call).catch((error: unknown) => {
      if (from.distrust === undefined || !isWrongContent(error)) throw error;
      from.distrust();
      return open(reference, from, pool, call);
    });
    const close = async () => {
      await image.close();
      from.close?.();
    };
    return { ...image, close };
  } catch (error) {
    from.close?.();
    throw error;
  }
}

export function notOnDemand(name: string): OciError {
  return new OciError(
    'OCI_UNSUPPORTED',
    `Cannot load ${name} on demand: its ranges cannot be verified`,
    {
      hint: `anole image convert ${name} DESTINATION; or, if layers are to be fetched whole, indexed:${name}`,
    },
  );
}
