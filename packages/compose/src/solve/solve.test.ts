import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paragraph } from '../archive/archive.fixture.ts';
import { parsePackageIndex } from '../archive/package-index.ts';
import type { PackageIndex } from '../archive/types.ts';
import { SolveError } from './errors.ts';
import { solve } from './solve.ts';
import type { SolveRequest } from './types.ts';

/** An index of packages written as `name version; Field: value; …`. */
function universe(...packages: readonly string[]): PackageIndex {
  const paragraphs = packages.map((text) => {
    const [head = '', ...rest] = text.split(';').map((part) => part.trim());
    const [name = '', version = '1.0'] = head.split(' ');
    const fields = Object.fromEntries(rest.map((field) => field.split(/:\s(.*)/s).slice(0, 2)));
    return paragraph({ name, version, fields });
  });
  const bytes = Buffer.from(paragraphs.join('\n'));
  return parsePackageIndex([{ suite: 'trixie', bytes }], 'riscv64');
}

function names(index: PackageIndex, request: Partial<SolveRequest>): string[] {
  const whole = { packages: [], essential: false, recommends: false, ...request };
  return solve(index, whole).packages.map(({ name }) => name);
}

function failure(index: PackageIndex, request: Partial<SolveRequest>): SolveError {
  try {
    names(index, request);
  } catch (error) {
    if (error instanceof SolveError) return error;
    throw error;
  }
  return assert.fail('It was solved');
}

test('a package comes after what it depends on', () => {
  const index = universe('a; Depends: b; Pre-Depends: c', 'b; Depends: c', 'c', 'd');
  assert.deepEqual(names(index, { packages: ['a'] }), ['c', 'b', 'a']);
});

test('in a cycle of dependencies, Pre-Depends decide the order', () => {
  const index = universe('a; Pre-Depends: b', 'b; Depends: c', 'c; Depends: a');
  const order = names(index, { packages: ['a'] });
  assert.deepEqual(order.toSorted(), ['a', 'b', 'c']);
  assert.ok(order.indexOf('b') < order.indexOf('a'));
});

test('of alternatives, one that is chosen anyway wins, else the first', () => {
  const index = universe('a; Depends: b | c', 'b', 'c');
  assert.deepEqual(names(index, { packages: ['a'] }), ['b', 'a']);
  assert.deepEqual(names(index, { packages: ['a', 'c'] }), ['c', 'a']);
});

test('a real package goes before providers, and those of higher priority before others', () => {
  const index = universe(
    'a; Depends: awk',
    'b; Depends: mail',
    'gawk; Provides: awk, mail',
    'mawk; Provides: awk; Priority: required',
    'mail',
  );
  assert.deepEqual(names(index, { packages: ['a'] }), ['mawk', 'a']);
  assert.deepEqual(names(index, { packages: ['b'] }), ['mail', 'b']);
});

test('versions are respected, also of what is provided', () => {
  const index = universe(
    'a; Depends: b (<< 2)',
    'b 1',
    'b 2',
    'c; Depends: v (>= 2)',
    'p1; Provides: v',
    'p2; Provides: v (= 1)',
    'p3; Provides: v (= 3)',
  );
  assert.deepEqual(names(index, { packages: ['b'] }), ['b']);
  const request = { packages: ['a'], essential: false, recommends: false };
  assert.equal(solve(index, request).packages[0]!.version, '1');
  assert.deepEqual(names(index, { packages: ['c'] }), ['p3', 'c']);
  assert.match(failure(index, { packages: ['a', 'b'] }).message, /b \(<< 2\)/);
});

test('a qualifier asks for a package that allows it', () => {
  const index = universe(
    'a; Depends: python:any',
    'b; Depends: perl:any',
    'c; Depends: perl:riscv64, python:native',
    'd; Depends: perl:amd64',
    'python; Multi-Arch: allowed',
    'perl',
  );
  assert.deepEqual(names(index, { packages: ['a'] }), ['python', 'a']);
  assert.deepEqual(names(index, { packages: ['c'] }), ['perl', 'python', 'c']);
  assert.equal(failure(index, { packages: ['b'] }).code, 'SOLVE_UNSATISFIABLE');
  assert.equal(failure(index, { packages: ['d'] }).code, 'SOLVE_UNSATISFIABLE');
});

test('conflicts and breaks make the search go back', () => {
  const index = universe(
    'a; Depends: b | c, d',
    'b',
    'c',
    'd; Depends: e | f',
    'e; Breaks: b',
    'f; Conflicts: b (<< 2)',
    'x; Depends: v, y',
    'v1; Provides: v; Conflicts: v',
    'y; Conflicts: v1 (>> 0)',
    'v2; Provides: v',
  );
  assert.deepEqual(names(index, { packages: ['a'] }), ['c', 'e', 'd', 'a']);
  assert.deepEqual(names(index, { packages: ['x'] }).toSorted(), ['v2', 'x', 'y']);
});

test('an alternative whose own dependencies fail is passed over', () => {
  const index = universe('a; Depends: b | c', 'b; Depends: d', 'd; Depends: nowhere', 'c');
  assert.deepEqual(names(index, { packages: ['a'] }), ['c', 'a']);
});

test('recommended packages are taken where they can be, and reported where not', () => {
  const index = universe('a; Recommends: b, nowhere, c', 'b; Depends: d', 'c; Conflicts: a', 'd');
  assert.deepEqual(names(index, { packages: ['a'] }), ['a']);
  const solution = solve(index, { packages: ['a'], essential: false, recommends: true });
  assert.deepEqual(solution.packages.map(({ name }) => name).toSorted(), ['a', 'b', 'd']);
  assert.deepEqual(solution.skippedRecommends, ['a: nowhere', 'a: c']);
});

test('essential packages and those of a priority are added; excluded ones are not', () => {
  const index = universe(
    'a; Essential: yes; Depends: l | m',
    'b; Priority: required',
    'l',
    'm',
    'n; Depends: l',
  );
  assert.deepEqual(names(index, { essential: true }), ['l', 'a']);
  assert.deepEqual(names(index, { priorities: ['required'] }), ['b']);
  assert.deepEqual(names(index, { essential: true, exclude: ['l'] }), ['m', 'a']);
  const { message } = failure(index, { packages: ['n'], exclude: ['l'] });
  assert.match(message, /n 1\.0 depends on l\n {4}l 1\.0 is excluded by the request/);
});

test('each package has the reason why it is there', () => {
  const index = universe('a; Essential: yes; Pre-Depends: b | c', 'b', 'c', 'd');
  const { reasons } = solve(index, { packages: ['d'], essential: true, recommends: false });
  assert.deepEqual(Object.fromEntries(reasons), {
    a: { kind: 'essential' },
    b: { kind: 'dependency', field: 'Pre-Depends', by: 'a', clause: 'b | c' },
    d: { kind: 'requested' },
  });
});

test('a version, suite or virtual package can be asked for', () => {
  const index = universe('a 1', 'a 2', 'gawk; Provides: awk');
  const request = { essential: false, recommends: false };
  assert.equal(solve(index, { ...request, packages: ['a=1'] }).packages[0]!.version, '1');
  assert.deepEqual(names(index, { packages: ['a/trixie'] }), ['a']);
  assert.deepEqual(names(index, { packages: ['awk'] }), ['gawk']);
});

test('a request that names nothing that exists is refused', () => {
  const index = universe('a 1');
  for (const [item, code] of [
    ['b', 'SOLVE_NO_SUCH_PACKAGE'],
    ['a=2', 'SOLVE_NO_SUCH_PACKAGE'],
    ['a/sid', 'SOLVE_NO_SUCH_PACKAGE'],
    ['a b', 'SOLVE_BAD_REQUEST'],
    ['a:amd64', 'SOLVE_BAD_REQUEST'],
    ['', 'SOLVE_BAD_REQUEST'],
  ] as const) {
    assert.equal(failure(index, { packages: [item] }).code, code, item);
  }
  assert.equal(failure(index, { packages: ['a'], exclude: ['a'] }).code, 'SOLVE_BAD_REQUEST');
});

test('an unsolvable request says who wanted what and why each candidate failed', () => {
  const index = universe(
    'app 2; Depends: lib (>= 3) | alt',
    'lib 2',
    'alt; Depends: deep, other',
    'deep; Depends: nowhere',
    'other',
  );
  assert.equal(
    failure(index, { packages: ['app'] }).message,
    [
      'Cannot satisfy the dependencies:',
      '  app 2 depends on lib (>= 3) | alt',
      '    lib (>= 3): there is lib 2',
      '    alt 1.0 depends on deep',
      '      deep 1.0 depends on nowhere',
      '        no package is or provides nowhere for riscv64',
    ].join('\n'),
  );
});

test('packages that were asked for and conflict are named', () => {
  const index = universe('a', 'b; Conflicts: v', 'c; Provides: v');
  assert.equal(
    failure(index, { packages: ['c', 'b'] }).message,
    'Cannot install b and c together: b 1.0 conflicts with v, which c 1.0 is or provides',
  );
});
