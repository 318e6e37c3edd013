import type { Lie } from './lie.ts';

/** Modules that wait for a hart that does not look, as one that sleeps; and that a hart takes in at a time. */
export const MOST_GIVEN = 64;

/** What a hart compiled, for the others that share its RAM: they look whether it still is what was compiled. */
export interface GivenCode {
  readonly module: WebAssembly.Module;
  /** Of the module's functions, by their numbers. */
  readonly lies: readonly Lie[];
}

/** How harts that share RAM have what all of them execute compiled by one of them. */
export interface CodeExchange {
  /** Whether this hart is to compile a place: not where another one is at it. */
  claim(place: number): boolean;
  /** What was claimed was given, or cannot be compiled. */
  release(place: number): void;
  /** Gives code to all others that took what was given before, but for {@link MOST_GIVEN} modules. */
  give(code: GivenCode): void;
  /** What another one gave, what is of one hart in the order of giving; undefined where there is no more. */
  take(): GivenCode | undefined;
}
