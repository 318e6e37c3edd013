import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { paragraph } from '../archive/archive.fixture.ts';
import type { DependencyField } from '../archive/dependency.ts';
import { parsePackageIndex } from '../archive/package-index.ts';
import type { PackageIndex, PackageRecord } from '../archive/types.ts';
import { SolveError } from './errors.ts';
import { offers } from './match.ts';
import { solve } from './solve.ts';

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const target = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...names) },
  fc.constantFrom('v', 'w', 'v (= 1)', 'a (>= 2)', 'b (<< 2)', 'nowhere'),
);
const clause = fc
  .array(target, { minLength: 1, maxLength: 3 })
  .map((alternatives) => alternatives.join(' | '));
const provided = fc.constantFrom('v', 'w', 'v (= 1)');

/** The fields of one package; few of them conflict, so that many universes can be solved. */
const fields = fc.record({
  Depends: fc.array(clause, { maxLength: 3 }),
  'Pre-Depends': fc.array(clause, { maxLength: 1 }),
  Recommends: fc.array(clause, { maxLength: 1 }),
  Conflicts: fc.array(target, { maxLength: 1 }),
  Breaks: fc.array(target, { maxLength: 1 }),
  Provides: fc.array(provided, { maxLength: 1 }),
});

const universe = fc.array(fields, { minLength: names.length, maxLength: names.length });

function indexOf(packages: readonly Readonly<Record<string, readonly string[]>>[]): PackageIndex {
  const paragraphs = packages.map((lists, at) => {
    const present = Object.entries(lists).filter(([, list]) => list.length > 0);
    const joined = Object.fromEntries(present.map(([name, list]) => [name, list.join(', ')]));
    return paragraph({ name: names[at]!, version: String((at % 3) + 1), fields: joined });
  });
  const bytes = Buffer.from(paragraphs.join('\n'));
  return parsePackageIndex([{ suite: 'trixie', bytes }], 'riscv64');
}

function satisfied(chosen: readonly PackageRecord[], field: DependencyField): boolean {
  return field.every((alternatives) =>
    alternatives.some((dependency) => chosen.some((each) => offers(each, dependency, 'riscv64'))),
  );
}

/** Judges a set of packages by the rules alone. */
function isSound(chosen: readonly PackageRecord[]): boolean {
  return chosen.every((record) => {
    const others = chosen.filter((each) => each !== record);
    const refused = [...record.conflicts, ...record.breaks].flat();
    const clashes = refused.some((dependency) =>
      others.some((each) => offers(each, dependency, 'riscv64')),
    );
    const wanted = [...record.depends, ...record.preDepends];
    return !clashes && satisfied(chosen, wanted);
  });
}

function someSubsetIsSound(index: PackageIndex, requested: readonly string[]): boolean {
  const records = names.map((name) => index.get(name)!);
  for (let subset = 0; subset < 1 << names.length; subset++) {
    const chosen = records.filter((_record, at) => subset & (1 << at));
    const hasAll = requested.every((name) => chosen.some((record) => record.name === name));
    if (hasAll && isSound(chosen)) return true;
  }
  return false;
}

test('a solution is sound, and is found wherever there is one', () => {
  let solved = 0;
  let unsolvable = 0;
  const property = fc.property(
    universe,
    fc.boolean(),
    fc.boolean(),
    (packages, two, recommends) => {
      const index = indexOf(packages);
      const requested = two ? ['a', 'b'] : ['a'];
      const possible = someSubsetIsSound(index, requested);
      try {
        const solution = solve(index, { packages: requested, essential: false, recommends });
        assert.ok(isSound(solution.packages));
        assert.ok(possible);
        solved++;
      } catch (error) {
        if (!(error instanceof SolveError)) throw error;
        assert.equal(possible, false, error.message);
        unsolvable++;
      }
    },
  );
  fc.assert(property, { seed: 7, numRuns: 1500 });
  assert.ok(solved > 200 && unsolvable > 200, `${solved} solved, ${unsolvable} not`);
});

test('Pre-Depends come first in the order wherever they form no cycle', () => {
  const property = fc.property(universe, (packages) => {
    const bare = packages.map((each) => ({ ...each, Conflicts: [], Breaks: [] }));
    // A package pre-depends on later ones only: no cycle.
    const acyclic = bare.map((each, at) => ({
      ...each,
      'Pre-Depends': names.slice(at + 1, at + 2),
      Provides: [],
      Depends: each.Depends.filter((text) => !/[vw(]|nowhere/.test(text)),
    }));
    const { packages: order } = solve(indexOf(acyclic), {
      packages: ['a'],
      essential: false,
      recommends: false,
    });
    for (const [at, record] of order.entries()) {
      for (const [dependency] of record.preDepends) {
        assert.ok(order.slice(0, at).some(({ name }) => name === dependency!.name));
      }
    }
  });
  fc.assert(property, { seed: 7, numRuns: 300 });
});
