/**
 * Where decoded pieces are kept that do not fit into memory: reading them there again must take less than decoding
 * them. Who gives one may lose what it has at any time.
 */
export interface DecodedStore {
  /** Told of each piece that was decoded. The bytes stay the caller's. */
  keep(key: string, bytes: Uint8Array): void;
  /** Fills `target` with bytes of a piece from `from` on. False where it is not there. */
  readInto(key: string, from: number, target: Uint8Array): boolean;
}
