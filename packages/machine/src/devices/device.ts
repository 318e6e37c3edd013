export type AccessSize = 1 | 2 | 4;

/**
 * Registers in the physical address space. The bus calls with offsets inside the range it gave the
 * device, naturally aligned; values are unsigned. A register that does not exist reads as 0 and
 * ignores writes: nothing a guest does raises.
 *
 * Every device folder has the same files: `registers.ts` (numbers and bits, with their source),
 * `device.ts` and its test. A device keeps all that a snapshot needs in one plain object, `state`.
 */
export interface MmioDevice {
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
}

/** A level-triggered interrupt line of a device. */
export type InterruptLine = (asserted: boolean) => void;

/** Bytes that a guest program sent out; what is passed may alias device memory: copy to keep. */
export type ByteSink = (bytes: Uint8Array) => void;
