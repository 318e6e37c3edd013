/** Numbers of LZMA that its two decoders share. Source: Igor Pavlov's LZMA specification. */

/** Below it the range gets another byte. */
export const TOP = 2 ** 24;
export const PROBABILITY_BITS = 11;
export const HALF = 1 << (PROBABILITY_BITS - 1);
/** A probability goes this many bits of the way to what was met. */
export const ADAPT = 5;
const STATES = 12;
export const POSITION_STATES = 16;
/** States below it follow a literal. */
export const AFTER_LITERAL = 7;
export const MATCH_MIN = 2;

/** Where each set of probabilities begins in the one array. */
export const IS_MATCH = 0;
export const IS_REPEAT = IS_MATCH + STATES * POSITION_STATES;
export const IS_REPEAT_0 = IS_REPEAT + STATES;
export const IS_REPEAT_1 = IS_REPEAT_0 + STATES;
export const IS_REPEAT_2 = IS_REPEAT_1 + STATES;
export const IS_REPEAT_0_LONG = IS_REPEAT_2 + STATES;
export const SLOTS = IS_REPEAT_0_LONG + STATES * POSITION_STATES;
export const SPECIAL = SLOTS + 4 * 64;
export const ALIGN = SPECIAL + 128;
export const MATCH_LENGTH = ALIGN + 16;
/** Of a set for lengths: two choices, then trees of 3 bits by position, twice, then one of 8. */
const LENGTH_SIZE = 2 + 2 * POSITION_STATES * 8 + 256;
export const REPEAT_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
export const LITERALS = REPEAT_LENGTH + LENGTH_SIZE;
/** Probabilities of one context of literals. */
export const LITERAL_SIZE = 0x300;
/** Most bits of literals and their positions together. */
export const LITERAL_BITS_MAX = 4;
