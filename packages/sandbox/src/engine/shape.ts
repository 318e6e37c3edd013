/**
 * Devices of a machine. They come in few numbers, so that templates serve for many sandboxes: one that
 * has more than it needs is not slower.
 */

/** Terminals of a machine that needs so many. */
export function terminalSlots(terminals: number): number {
  return terminals <= 2 ? 2 : 15;
}

/** Devices for volumes of a machine that needs so many. */
export function volumeSlots(volumes: number): number {
  return volumes === 0 ? 0 : 2 ** Math.ceil(Math.log2(volumes));
}

/** Tag of a volume's device. */
export function volumeTag(index: number): string {
  return `volume${index}`;
}
