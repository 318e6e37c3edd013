import type { Ipv4 } from '../address.ts';
import type { AddressRecord } from './message.ts';

/** Addresses that are remembered; the oldest go first. */
const maxAddresses = 4096;
const maxNames = 16;
/** Programs use an answer for a while after it ran out; and at once, where its time is 0. */
const grace = 300_000; // ms
const longest = 24 * 3600_000; // ms

/** Which names led the guest to an address, for as long as it may believe so. */
export class Lookups {
  /** Expiry in ms by name, by address; the one that was told last is last. */
  readonly #told = new Map<Ipv4, Map<string, number>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  remember(name: string, records: readonly AddressRecord[]): void {
    for (const { address, ttl } of records) {
      const names = this.#told.get(address) ?? new Map<string, number>();
      this.#told.delete(address);
      names.delete(name);
      names.set(name, this.#now() + Math.min(ttl * 1000, longest) + grace);
      if (names.size > maxNames) names.delete(names.keys().next().value!);
      this.#told.set(address, names);
      if (this.#told.size > maxAddresses) this.#told.delete(this.#told.keys().next().value!);
    }
  }

  namesOf(address: Ipv4): string[] {
    const names = this.#told.get(address);
    if (names === undefined) return [];
    const now = this.#now();
    for (const [name, expiry] of names) if (expiry < now) names.delete(name);
    if (names.size === 0) this.#told.delete(address);
    return [...names.keys()];
  }
}
