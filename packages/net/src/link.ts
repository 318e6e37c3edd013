/** What the sender of a frame left to the other side: as virtio's network device has it. */
export interface Offload {
  /** The checksum of all from `start` on is to be put at `start + offset`, where its first sum is. */
  readonly checksum?: { readonly start: number; readonly offset: number };
  /** A TCP segment that stands for several, each with at most `size` bytes of data. */
  readonly segments?: { readonly version: 4 | 6; readonly size: number };
}

/** The guest's network card. */
export interface Link {
  /** Whether the guest makes checksums, or parts segments, that are left to it. */
  accepts(what: 'checksum' | 'segments4'): boolean;
  /** Gives the guest a frame; all is copied. False where it has no room now: `room()` is called later. */
  send(headers: Uint8Array, data: readonly Uint8Array[], offload: Offload): boolean;
}
