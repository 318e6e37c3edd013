import * as at from '../hart/layout.ts';
import type { Board } from '../platform/board.ts';
import { damaged } from './errors.ts';

/** Before the slots, as `Hart.saveState` writes them: instructions retired (f64), skipped ticks. */
const INSTRUCTIONS = 8;
const TICKS = 16;
const SLOTS = 24;

/** States of all harts of a machine that stands still, one behind the other. */
export function savedHarts({ hart, crew }: Board): Uint8Array {
  const first = hart.saveState();
  if (crew === undefined) return first;
  const states = [first, ...crew.savedStates(first)];
  const all = new Uint8Array(first.length * states.length);
  for (const [index, state] of states.entries()) all.set(state, index * first.length);
  return all;
}

/**
 * Has the harts of a machine that does not run yet go on from what {@link savedHarts} gave.
 *
 * @throws MachineError `MACHINE_SNAPSHOT_DAMAGED`
 */
export function restoreHarts({ hart, crew }: Board, bytes: Uint8Array): void {
  const count = crew?.links.length ?? 1;
  if (bytes.length !== count * (SLOTS + at.STATE_END)) {
    throw damaged(`${count} harts of ${bytes.length} bytes`);
  }
  const size = bytes.length / count;
  const states = Array.from({ length: count }, (_, index) =>
    bytes.slice(index * size, (index + 1) * size),
  );
  for (const state of states) checkHartState(state);
  try {
    hart.restoreState(states[0]!);
    // A state that this hart refuses, the others would refuse in their threads.
    crew?.restoreStates(states.slice(1));
  } catch (cause) {
    throw damaged('its hart is none of this version', cause);
  }
}

/**
 * Refuses states that no hart gets into by itself: the interpreter relies on these.
 *
 * @throws MachineError `MACHINE_SNAPSHOT_DAMAGED`
 */
function checkHartState(bytes: Uint8Array): void {
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
