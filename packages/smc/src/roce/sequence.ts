/** Packet sequence numbers have 24 bits and go round. */
export const sequenceAfter = (sequence: number, steps = 1): number => (sequence + steps) & 0xffffff;

/** How many steps `a` is after `b`; negative where it is before. */
export const stepsBetween = (a: number, b: number): number => ((a - b) << 8) >> 8;
