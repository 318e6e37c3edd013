import { isImageVolume, type VolumeSource } from './messages.ts';

/**
 * Devices of a machine. They come in few numbers, so that templates serve for many sandboxes: one that
 * has more than it needs is not slower.
 */

/** Terminals of a machine that needs so many. */
export function terminalSlots(terminals: number): number {
  return terminals <= 2 ? 2 : 15;
}

/** A device for a volume. */
export interface VolumeSlot {
  /** What the guest mounts. */
  readonly tag: string;
  /** Whether it has a window, for files that the guest maps: decision 0233. */
  readonly hasWindow: boolean;
  /** Absent: no volume is in it. */
  readonly volume?: VolumeSource;
}

/** Devices of a machine that needs such volumes: those of directories first, then those of images. */
export function volumeSlots(volumes: readonly VolumeSource[]): readonly VolumeSlot[] {
  const images = volumes.filter(isImageVolume);
  const directories = volumes.filter((volume) => !isImageVolume(volume));
  return [...slotsFor(directories, 'volume', false), ...slotsFor(images, 'image', true)];
}

function slotsFor(
  volumes: readonly VolumeSource[],
  name: string,
  hasWindow: boolean,
): readonly VolumeSlot[] {
  const length = volumes.length === 0 ? 0 : 2 ** Math.ceil(Math.log2(volumes.length));
  return Array.from({ length }, (_, index) => {
    const volume = volumes[index];
    return { tag: `${name}${index}`, hasWindow, ...(volume && { volume }) };
  });
}
