/** An address and a port of UDP. */
export interface RoceAddress {
  /** IPv4, dotted. */
  readonly address: string;
  readonly port: number;
}

/** Where packets of RoCE leave and arrive: UDP, or a piece of wire between tests. */
export interface RocePort {
  /** IPv4 address of this end, dotted. */
  readonly address: string;
  /** Takes what arrives, its checksum verified; bytes are the receiver's. Set once. */
  onPacket: (packet: Uint8Array, from: string) => void;
  /**
   * Sends and forgets.
   *
   * @param packet of `writeRoce`, which gets its checksum, and may be sent again; it stays as it is then
   */
  send(packet: Uint8Array, to: string): void;
  close(): Promise<void>;
}
