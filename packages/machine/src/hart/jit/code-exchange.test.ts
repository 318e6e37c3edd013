import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BASE, makeHart, place, squares, type TestHart } from '../testing.ts';
import type { CodeExchange, GivenCode } from './code-exchange.ts';
import type { Lie } from './lie.ts';

const eager = { threshold: 1, batch: 1 };
/** Compiles nothing itself: what it has was given. */
const idle = { threshold: 2 ** 30, batch: 32 };
const PAGE = 4096;
const changed = squares.replace('s1, s1, 1', 's1, s1, 2');

/** One hart's side: what it gave, and what it is to take. */
class Side implements CodeExchange {
  readonly given: GivenCode[] = [];
  readonly offered: GivenCode[] = [];
  readonly claimed = new Set<number>();
  readonly mayClaim: boolean;

  constructor(mayClaim = true) {
    this.mayClaim = mayClaim;
  }

  claim(at: number): boolean {
    if (this.mayClaim) this.claimed.add(at);
    return this.mayClaim;
  }

  release(at: number): void {
    assert.ok(this.claimed.delete(at));
  }

  give(code: GivenCode): void {
    this.given.push(structuredClone(code));
  }

  take(): GivenCode | undefined {
    return this.offered.shift();
  }
}

const sums = ({ hart }: TestHart) => [hart.readX(9), hart.readX(18)];

async function started(jit: typeof eager, exchange: Side, text = squares): Promise<TestHart> {
  const test = await makeHart({ jit, exchange });
  place(test, text);
  test.hart.reset({ pc: BigInt(BASE) });
  return test;
}

/** What a hart compiles of the program in its first 1000 instructions. */
async function compiledOnce(): Promise<{ given: readonly GivenCode[]; parent: TestHart }> {
  const side = new Side();
  const parent = await started(eager, side);
  parent.hart.run(1000);
  assert.ok(side.given.length > 0);
  assert.equal(side.claimed.size, 0);
  return { given: side.given, parent };
}

/** Code as if it were compiled of what another hart's pages hold. */
function asOf({ memory }: TestHart, { module, lies }: GivenCode): GivenCode {
  const copyOf = (page: number) =>
    new Int32Array(memory.readable(BASE + PAGE * page, PAGE).slice().buffer);
  const withCopies = (lie: Lie): Lie => ({ ...lie, copies: lie.pages.map(copyOf) });
  return { module, lies: lies.map(withCopies) };
}

describe('code that another hart gives', () => {
  it('is entered', async () => {
    const { given, parent } = await compiledOnce();
    const side = new Side();
    const child = await started(idle, side, changed);
    side.offered.push(...given.map((code) => asOf(child, code)));
    child.hart.run(1000);
    assert.deepEqual(sums(child), sums(parent));
  });

  it('is not entered where RAM is not what was compiled', async () => {
    const { given } = await compiledOnce();
    const side = new Side();
    const child = await started(idle, side, changed);
    const plain = await started(idle, new Side(), changed);
    side.offered.push(...given);
    for (const { hart } of [child, plain]) hart.run(1000);
    assert.deepEqual(sums(child), sums(plain));
  });

  it('goes at a fence where others have changed RAM', async () => {
    const { given, parent } = await compiledOnce();
    const side = new Side();
    const child = await started(idle, side);
    side.offered.push(...given);
    child.hart.run(500);
    place(child, changed);
    child.hart.run(500);
    const plain = await started(idle, new Side());
    plain.hart.run(500);
    place(plain, changed);
    plain.hart.run(500);
    assert.deepEqual(sums(child), sums(plain));
    assert.notDeepEqual(sums(child), sums(parent));
  });

  it('takes half as many jumps of each hart', async () => {
    const side = new Side();
    const { hart } = await started({ threshold: 100, batch: 1 }, side);
    const round = 7;
    hart.run(45 * round);
    assert.equal(side.given.length, 0);
    hart.run(10 * round);
    assert.ok(side.given.length > 0);
  });

  it('is not compiled here meanwhile', async () => {
    const { parent } = await compiledOnce();
    const side = new Side(false);
    const waiting = await started(eager, side);
    waiting.hart.run(1000);
    assert.equal(side.given.length, 0);
    assert.deepEqual(sums(waiting), sums(parent));
  });
});
