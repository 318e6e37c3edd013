import type { Descriptor } from '@anole/oci';

/** By which digests a layer is read. What is of the same is the same device, and is read with the same outcome. */
export interface MapDigests {
  readonly map: Pick<Descriptor, 'digest'>;
  readonly windows?: Pick<Descriptor, 'digest'>;
}

/** Windows have no digests of their parts, but decide what is read: others are another map. */
export function mapName({ map, windows }: MapDigests): string {
  return windows ? `${map.digest} windows ${windows.digest}` : map.digest;
}
