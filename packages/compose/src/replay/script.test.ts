import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAlternative } from './alternatives.ts';
import { judge } from './replay.ts';
import { literalWords, readScript } from './script.ts';

test("debhelper's blocks are told from a script's own statements", () => {
  const script = readScript(`#!/bin/sh
set -e
echo own \\
  words # kept
# Automatically added by dh_installsystemd/13.24
if [ "$1" = "configure" ]; then
	deb-systemd-helper enable 'x.timer'
fi
# End automatically added section
exit 0
`);
  assert.deepEqual(script.lines, ['set -e', 'echo own    words # kept', 'exit 0']);
  assert.equal(script.added[0]?.tool, 'dh_installsystemd');
  assert.equal(script.added[0]?.lines.length, 3);
});

test('words are split as a shell splits them, and only where no shell is needed', () => {
  const word = fc.stringMatching(/^[a-z0-9/._"' \\-]{1,12}$/);
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), (words) => {
      assert.deepEqual(literalWords(words.map(quote).join(' ')), words);
    }),
    { seed: 55, numRuns: 200 },
  );
  assert.deepEqual(literalWords('a "b c" d\\ e || true'), ['a', 'b c', 'd e']);
  assert.deepEqual(literalWords('a b; c'), ['a', 'b']);
  assert.equal(literalWords('a $HOME'), undefined);
  assert.equal(literalWords('a "$(x)"'), undefined);
  assert.equal(literalWords("a 'open"), undefined);
});

test('words agree with sh on commands of packages', () => {
  const line = `update-alternatives --install /bin/x "x y" '/usr/bin/$z' 10 --slave a b\\ c d`;
  const printed = execFileSync('sh', ['-c', `printf '%s\\n' ${line}`], { encoding: 'utf8' });
  assert.deepEqual(literalWords(line), printed.trimEnd().split('\n'));
});

test('alternatives are read with their slaves; what needs a shell is not', () => {
  const parsed = parseAlternative(
    'update-alternatives --quiet --install /usr/bin/awk awk /usr/bin/mawk 5 --slave /m/awk.1 awk.1 /m/mawk.1 || true',
  );
  assert.deepEqual(parsed, {
    link: '/usr/bin/awk',
    name: 'awk',
    path: '/usr/bin/mawk',
    priority: 5,
    slaves: [{ link: '/m/awk.1', name: 'awk.1', path: '/m/mawk.1' }],
  });
  assert.equal(parseAlternative('update-alternatives --install /a b "$c" 5'), undefined);
  assert.equal(parseAlternative('update-alternatives --remove a b'), undefined);
  assert.equal(parseAlternative('update-alternatives --install /a b c 5 --slave d'), undefined);
});

test('a script is judged by what it says', () => {
  const status = (name: string, text: string) => judge(name, 'postinst', readScript(text)).status;
  const frame = '#!/bin/sh\nset -e\ncase "$1" in\nconfigure)\n;;\n*)\nexit 1\n;;\nesac\nexit 0\n';
  assert.equal(status('anything', frame), 'understood');
  assert.equal(
    status('anything', 'dpkg-maintscript-helper rm_conffile /etc/x 1.0 -- "$@"'),
    'understood',
  );
  assert.equal(status('anything', 'rm -rf /'), 'unknown');
  assert.equal(status('bash', 'rm -rf /'), 'changed');
  const foreign =
    '# Automatically added by dh_unheard/1\nrm -rf /\n# End automatically added section\n';
  assert.equal(status('anything', foreign), 'unknown');
});
