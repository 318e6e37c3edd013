import * as at from '../hart/layout.ts';
import { damaged } from './errors.ts';

/** Before the slots, as `Hart.saveState` writes them: instructions retired (f64), skipped ticks. */
const INSTRUCTIONS = 8;
const TICKS = 16;
const SLOTS = 24;

/**
 * Refuses states that no hart gets into by itself: the interpreter relies on these.
 *
 * @throws MachineError `MACHINE_SNAPSHOT_DAMAGED`
 */
export function checkHartState(bytes: Uint8Array): void {
  if (bytes.length !== SLOTS + at.STATE_END) throw damaged(`a hart of ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (slot: number) => view.getInt32(SLOTS + slot, true);
  const long = (slot: number) => view.getBigUint64(SLOTS + slot, true);
  const instructions = view.getFloat64(INSTRUCTIONS, true);
  const previousMode = (long(at.MSTATUS) >> 11n) & 3n;
  const levels = { 0: 0, 8: 3, 9: 4 }[Number(long(at.SATP) >> 60n)];
  const possible =
    Number.isSafeInteger(instructions) &&
    instructions >= 0 &&
    view.getBigUint64(TICKS, true) < 1n << 62n &&
    [0, 1, 3].includes(word(at.MODE)) &&
    previousMode !== 2n &&
    word(at.LEVELS) === levels &&
    (word(at.FCSR) & ~0xff) === 0 &&
    long(at.X) === 0n &&
    (long(at.PC) & 1n) === 0n;
  if (!possible) throw damaged('its hart is in no state that a hart has');
}
