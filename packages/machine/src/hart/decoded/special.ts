/** Numbers in slots that are no handlers of instructions, see {@link ./slots.ts}. */
export const Special = {
  /** Nothing was decoded here yet. */
  empty: 0,
  /** The slow step is to do it. */
  leave: 1,
  /** Compiled code begins here: its index in the table of functions is in the place of the immediate. */
  compiled: 2,
  /** Writes x0 alone. */
  idle: 3,
  /** Behind the last slot of a page. */
  end: 4,
} as const;

/** Of the first word of a slot: the number of its handler; its step, from bit 8 on; its operands. */
export const NUMBER_BITS = 0x7ff;
export const STEP_BITS = 0x38;
export const OPERAND_BITS = 0xffff0000;
