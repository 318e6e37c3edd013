import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseControl, parseParagraph } from './control.ts';
import { ArchiveError } from './errors.ts';

test('fields are found by name whatever the case, folded lines without their blank', () => {
  const fields = parseParagraph('Package: bash\nDescription: shell\n The shell.\n .\n\tMore.\n');
  assert.equal(fields.get('PACKAGE'), 'bash');
  assert.equal(fields.get('Description'), 'shell\nThe shell.\n.\nMore.');
  assert.equal(fields.get('Version'), undefined);
  assert.deepEqual(fields.names(), ['Package', 'Description']);
});

test('paragraphs are parted by blank lines; comments do not count', () => {
  const paragraphs = parseControl('\n# one\nA: 1\n# two\nB: 2\n \n\n\nA: 3\r\n');
  assert.deepEqual(
    paragraphs.map((fields) => fields.get('A')),
    ['1', '3'],
  );
});

test('what is no control data is a coded error', () => {
  for (const text of ['no field', ' folded', 'A: 1\nA: 2', ': value', 'A b: 1', '-\x00: 1']) {
    assert.throws(() => parseControl(text), { code: 'ARCHIVE_BAD_CONTROL' }, text);
  }
  assert.throws(() => parseParagraph(''), { code: 'ARCHIVE_BAD_CONTROL' });
  assert.throws(() => parseParagraph('A: 1\n\nA: 2'), { code: 'ARCHIVE_BAD_CONTROL' });
});

test('any text is parsed or refused', () => {
  const part = fc.constantFrom('A', 'b', ':', ' ', '\n', '\t', '#', '-', '.', 'é', '\0', '\r');
  const property = fc.property(fc.array(part), (parts) => {
    try {
      for (const fields of parseControl(parts.join(''))) {
        for (const name of fields.names()) assert.notEqual(fields.get(name), undefined);
      }
    } catch (error) {
      assert.ok(error instanceof ArchiveError, String(error));
    }
  });
  fc.assert(property, { seed: 7, numRuns: 500 });
});
