import type { CdcCursor } from '../cdc/message.ts';
import { SmcError } from '../errors.ts';

/**
 * A place in a ring, counted from when the connection began: the wire has it as bytes of this round,
 * and rounds, of which there are 65536 before they begin anew.
 */
export const cursorAt = (position: number, size: number): CdcCursor => ({
  wrap: Math.floor(position / size) & 0xffff,
  count: position % size,
});

/**
 * The position that a cursor means which has gone on from `before`, by no more than `limit`.
 *
 * @throws SmcError `SMC_BAD_PEER` where it goes back, or too far
 */
export function advance(before: number, { wrap, count }: CdcCursor, size: number, limit: number) {
  const last = cursorAt(before, size);
  const steps = ((wrap - last.wrap) & 0xffff) * size + count - last.count;
  if (count >= size || steps < 0 || steps > limit) {
    throw new SmcError(
      'SMC_BAD_PEER',
      `Cannot go on with a connection: a cursor went from ${before} by ${steps} of ${limit} bytes`,
    );
  }
  return before + steps;
}
