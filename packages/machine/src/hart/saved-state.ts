import { HartError } from './errors.ts';
import * as at from './layout.ts';
import type { HartState } from './state.ts';

/** What goes on from a saved hart beside the slots of its state. */
export interface Progress {
  /** Instructions executed. */
  readonly instret: number;
  readonly skippedTicks: bigint;
}

const MAGIC = 0x31526148;
const HEADER = 24;
const NEVER = (1n << 64n) - 1n;

/** Slots by which an instruction's parts speak to each other: no state between two of them. */
const scratch = [at.FLOAT_A, at.FLOAT_B, at.FLOAT_C, at.FLOAT_RESULT, at.CSR_VALUE] as const;

/** A hart between two instructions, as bytes that say the same wherever it runs. */
export function writeState(
  hart: HartState,
  { instret, skippedTicks }: Progress,
): Uint8Array<ArrayBuffer> {
  const state = hart.copy();
  const out = new Uint8Array(HEADER + state.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, state.length, true);
  view.setFloat64(8, instret, true);
  view.setBigUint64(16, skippedTicks, true);
  out.set(state, HEADER);
  view.setInt32(HEADER + at.BACKED, 0, true);
  view.setInt32(HEADER + at.ATTENTION, 0, true);
  for (const slot of scratch) view.setBigUint64(HEADER + slot, 0n, true);
  for (const slot of [at.ACCESS_SIZE, at.FAULT]) view.setInt32(HEADER + slot, 0, true);
  // What TLBs hold is no state: a restored hart starts with none, and so would differ.
  for (const half of [at.SUPERPAGES, at.SUPERPAGES + 16]) {
    view.setBigUint64(HEADER + half, NEVER, true);
    view.setBigUint64(HEADER + half + 8, 0n, true);
  }
  return out;
}

/**
 * Puts back what {@link writeState} gave, but for what is of the hart itself: whether it has firmware.
 *
 * @throws HartError `MACHINE_BAD_CONFIG`
 */
export function readState(bytes: Uint8Array, hart: HartState): Progress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const valid =
    bytes.length === HEADER + at.STATE_END &&
    view.getUint32(0, true) === MAGIC &&
    view.getUint32(4, true) === at.STATE_END;
  if (!valid) {
    throw new HartError('MACHINE_BAD_CONFIG', `Cannot restore a hart from ${bytes.length} bytes`, {
      hint: 'the state was saved by another version',
    });
  }
  const firmware = hart.getWord(at.FIRMWARE);
  hart.restore(bytes.subarray(HEADER));
  hart.setWord(at.FIRMWARE, firmware);
  hart.setWord(at.REMAINING, 0);
  return { instret: view.getFloat64(8, true), skippedTicks: view.getBigUint64(16, true) };
}
