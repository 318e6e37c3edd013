import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatClause, parseDependencies, satisfiesVersion } from './dependency.ts';
import { ArchiveError } from './errors.ts';

const riscv64 = { architecture: 'riscv64' };

function read(text: string, context: Parameters<typeof parseDependencies>[1] = riscv64): string[] {
  return parseDependencies(text, context).map(formatClause);
}

test('clauses, alternatives, versions and qualifiers are read', () => {
  const text = 'libc6 (>= 2.36), awk|mawk ( = 1.3 ),\n python3:any (<< 3.14), perl (>5) , ,';
  assert.deepEqual(read(text), [
    'libc6 (>= 2.36)',
    'awk | mawk (= 1.3)',
    'python3:any (<< 3.14)',
    'perl (>= 5)',
  ]);
});

test('alternatives for other architectures are left out', () => {
  const text = 'a [riscv64] | b [amd64 arm64], c [!riscv64], d [!amd64 !arm64], e [linux-any]';
  assert.deepEqual(read(text), ['a', 'd', 'e']);
  assert.deepEqual(read(text, { architecture: 'amd64' }), ['b', 'c', 'e']);
});

test('alternatives for build profiles count where the profile is on', () => {
  const text = 'a <!nocheck>, b <cross> <stage1 !nodoc>';
  assert.deepEqual(read(text), ['a']);
  assert.deepEqual(read(text, { ...riscv64, profiles: ['stage1'] }), ['a', 'b']);
  assert.deepEqual(read(text, { ...riscv64, profiles: ['nocheck', 'stage1', 'nodoc'] }), []);
});

test("relations hold by Debian's ordering", () => {
  const holds = (version: string, text: string) =>
    satisfiesVersion(version, parseDependencies(text, riscv64)[0]![0]!);
  assert.ok(holds('1.0~rc1', 'a (<< 1.0)'));
  assert.ok(holds('1.0', 'a (<= 1.0-0)'));
  assert.ok(holds('1.0', 'a (= 1.0-0)'));
  assert.ok(!holds('1.0', 'a (>> 1.0)'));
  assert.ok(holds('1:0', 'a (>> 1.0)'));
  assert.ok(holds('1', 'a'));
});

test('what is no dependency is a coded error', () => {
  for (const text of ['a (~ 1)', '(>= 1)', 'a b', 'a (>= 1', 'A_b', 'a | | b', 'a [x']) {
    assert.throws(() => parseDependencies(text, riscv64), { code: 'ARCHIVE_BAD_DEPENDENCY' }, text);
  }
  for (const text of ['a (>= _)', 'a (>= )']) {
    assert.throws(() => parseDependencies(text, riscv64), { code: 'ARCHIVE_BAD_VERSION' }, text);
  }
});

test('any text is read or refused, and soon', () => {
  const part = fc.constantFrom(
    'a',
    '1',
    ' ',
    '(',
    ')',
    '>=',
    '<',
    '>',
    '[',
    ']',
    '|',
    ',',
    ':',
    '!',
  );
  const property = fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
    try {
      const text = parts.join('');
      assert.deepEqual(read(read(text).join(', ')), read(text));
    } catch (error) {
      assert.ok(error instanceof ArchiveError, String(error));
    }
  });
  fc.assert(property, { seed: 7, numRuns: 1000 });
  const long = `a ${'<!x> '.repeat(800)}(`;
  assert.throws(() => parseDependencies(long, riscv64), { code: 'ARCHIVE_BAD_DEPENDENCY' });
});
