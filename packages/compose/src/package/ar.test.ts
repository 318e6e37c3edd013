import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flow, memorySource } from '@anole/bytes';
import { readArMembers } from './ar.ts';

const members = (bytes: Uint8Array) => flow(() => readArMembers(memorySource(bytes)));
const encode = (text: string) => new TextEncoder().encode(text);

function header(name: string, size: number | string): string {
  const fields = [
    name.padEnd(16),
    '0'.padEnd(12),
    '0'.padEnd(6),
    '0'.padEnd(6),
    '100644'.padEnd(8),
  ];
  return `${fields.join('')}${String(size).padEnd(10)}\`\n`;
}

test('members are found with their offsets, odd sizes padded', () => {
  const archive = `!<arch>\n${header('debian-binary', 4)}2.0\n${header('odd/', 3)}abc\n${header('last', 0)}`;
  assert.deepEqual(members(encode(archive)), [
    { name: 'debian-binary', offset: 68, size: 4 },
    { name: 'odd', offset: 132, size: 3 },
    { name: 'last', offset: 196, size: 0 },
  ]);
});

test('a final member may lack its padding', () => {
  assert.equal((members(encode(`!<arch>\n${header('a', 1)}x`)) as unknown[]).length, 1);
});

const broken: Readonly<Record<string, string>> = {
  empty: '',
  'another magic': '!<arch>x',
  'a header cut short': '!<arch>\ndebian-binary',
  'a size that is no number': `!<arch>\n${header('a', '1x')}x`,
  'a negative size': `!<arch>\n${header('a', -1)}x`,
  'a member beyond the end': `!<arch>\n${header('a', 9_999_999_999)}x`,
  'no end mark': `!<arch>\n${header('a', 0).replace('`', "'")}`,
  'members without end': `!<arch>\n${header('a', 0).repeat(65)}`,
};

for (const [what, archive] of Object.entries(broken)) {
  test(`an archive with ${what} is refused`, () => {
    assert.throws(() => members(encode(archive)), { code: 'DEB_BAD_ARCHIVE' });
  });
}
