/** A small generator (xorshift32) whose sequences depend on the seed alone. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
    for (let i = 0; i < 8; i++) this.word();
  }

  /** 0 to 2^32 - 1. */
  word(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  below(limit: number): number {
    return Math.floor((this.word() / 2 ** 32) * limit);
  }

  chance(share: number): boolean {
    return this.word() < share * 2 ** 32;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  double(): bigint {
    return (BigInt(this.word()) << 32n) | BigInt(this.word());
  }
}

const integers = [
  0n,
  1n,
  2n,
  63n,
  64n,
  0x7fn,
  0x80n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xffffffffffffffffn,
  0xfffffffffffffffen,
];

/** An integer register's value: edges, small numbers, sparse bits, noise. */
export function interestingInteger(random: Random): bigint {
  const value = random.double();
  switch (random.below(5)) {
    case 0:
      return random.pick(integers);
    case 1:
      return BigInt.asUintN(64, BigInt(random.below(512) - 256));
    case 2:
      return BigInt.asUintN(64, BigInt.asIntN(32, value));
    case 3:
      return value >> BigInt(random.below(64));
    default:
      return value;
  }
}

const singles = [
  0x0, 0x80000000, 0x1, 0x807fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x7f7fffff, 0x7f800000,
  0xff800000, 0x7fc00000, 0x7f800001, 0x4f000000, 0xcf000000, 0x5f000000, 0x3f000000, 0x3fc00000,
  0x4b7fffff,
];
const doubles = [
  0x0n,
  0x8000000000000000n,
  0x1n,
  0x800fffffffffffffn,
  0x10000000000000n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x7fefffffffffffffn,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0x7ff0000000000001n,
  0x41e0000000000000n,
  0xc1e0000000000000n,
  0x43e0000000000000n,
  0x3fe0000000000000n,
  0x3ff8000000000000n,
];

/** A floating-point register's value: boxed singles, doubles, both with close exponents, noise. */
export function interestingFloat(random: Random): bigint {
  const box = (bits: number) => 0xffffffff00000000n | BigInt(bits >>> 0);
  switch (random.below(7)) {
    case 0:
      return box(random.pick(singles));
    case 1:
      return random.pick(doubles);
    case 2:
    case 3:
      return box((random.word() & 0x807fffff) | ((110 + random.below(36)) << 23));
    case 4:
    case 5:
      return (random.double() & 0x800fffffffffffffn) | (BigInt(1005 + random.below(36)) << 52n);
    default:
      return random.chance(0.5) ? random.double() : box(random.word());
  }
}
