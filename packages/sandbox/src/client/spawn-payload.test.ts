import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { launchField, launchMemory, textOf, utf8, withIdentity } from '../agent/launch-request.ts';
import { SpawnOrder } from '../agent/spawn-order.ts';
import { type SpawnRequest, spawnField } from '../agent/wire.ts';
import { rehearsePayload, spawnPayload } from './spawn-payload.ts';

/** Memory of the program `launch` as it sees it. */
function memoryOf(request: SpawnRequest, at: number, home: string, groups: readonly number[]) {
  const order = new SpawnOrder(spawnPayload(request));
  const memory = order.memory(at);
  const identity = { uid: 7, gid: 8, groups, home };
  const bytes = Buffer.from(request.user === undefined ? memory : withIdentity(memory, identity));
  const number = (at: number) => Number(bytes.readBigUInt64LE(at));
  const offset = (at: number) => number(at) - launchMemory.address;
  const string = (at: number) => {
    const start = offset(at);
    return bytes.toString('utf8', start, bytes.indexOf(0, start));
  };
  const list = (field: number): string[] => {
    const found: string[] = [];
    for (let at = offset(field); number(at) !== 0; at += 8) found.push(string(at));
    return found;
  };
  return { order, bytes, number, offset, string, list };
}

const word = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((text) => !text.includes('\0') && text.isWellFormed());
const name = fc.stringMatching(/^[A-Z_]{1,6}$/).filter((each) => each !== 'PATH');

test('a command becomes what was asked for', () => {
  const property = fc.property(
    fc.array(word, { maxLength: 6 }),
    fc.dictionary(name, word, { maxKeys: 6 }),
    fc.array(fc.nat(), { maxLength: 4 }),
    fc.boolean(),
    (words, env, groups, stdin) => {
      const argv = ['lizard', ...words];
      const path = { PATH: '/a::/b:/a', ...env };
      const request = { argv, env: path, cwd: '/ä', stdin, user: 'lizard' };
      const { order, bytes, number, offset, string, list } = memoryOf(request, 1, '/h', groups);
      const files = order.candidates;
      const file = files[1]!;
      assert.deepEqual(
        [spawnField.program, spawnField.directory, spawnField.user].map((field) =>
          order.text(field),
        ),
        ['lizard', '/ä', 'lizard'],
      );
      assert.deepEqual([order.has(spawnField.terminal), order.stdin], [false, stdin]);
      assert.equal(number(launchField.length), bytes.length);
      assert.deepEqual(list(launchField.argv), argv);
      assert.equal(string(offset(launchField.argv) - 8), '/bin/sh');
      const variables = Object.fromEntries(
        list(launchField.environment).map((each) => [
          each.slice(0, each.indexOf('=')),
          each.slice(each.indexOf('=') + 1),
        ]),
      );
      assert.deepEqual(variables, { PATH: '/a::/b:/a', HOME: '/h', ...env });
      assert.deepEqual(files, ['/a/lizard', '/ä/lizard', '/b/lizard']);
      assert.equal(string(launchField.path), file);
      assert.equal(string(launchField.directory), '/ä');
      assert.equal(string(launchField.null), '/dev/null');
      assert.equal(number(launchField.terminal), 0);
      assert.equal(number(launchField.keepsInput), Number(stdin));
      assert.deepEqual([number(launchField.user), number(launchField.group)], [7, 8]);
      const first = offset(launchField.groups);
      assert.equal(first % 4, 0);
      const read = Array.from({ length: number(launchField.groupCount) }, (_, at) =>
        bytes.readUInt32LE(first + 4 * at),
      );
      assert.deepEqual(read, groups);
      const message = offset(launchField.message);
      const said = bytes.toString('utf8', message, message + number(launchField.messageLength));
      assert.equal(said, `anole: cannot execute ${file}\n`);
    },
  );
  fc.assert(property, { seed: 68, numRuns: 200 });
});

test('who is root needs no look at the accounts, and a terminal is a device', () => {
  const request = { argv: ['sh'], env: {}, cwd: '/', stdin: false, terminal: 'hvc2' };
  const { list, string } = memoryOf(request, 0, '/somewhere', []);
  assert.ok(list(launchField.environment).includes('HOME=/root'));
  assert.ok(!list(launchField.environment).includes('HOME=/somewhere'));
  assert.equal(string(launchField.terminal), '/dev/hvc2');
});

test('what has a NUL is refused, wherever it comes from', () => {
  const request = { argv: ['sh'], env: {}, cwd: '/', stdin: false };
  for (const wrong of [
    { argv: ['sh\0'] },
    { argv: ['sh', '\0'] },
    { env: { PATH: '/bin:/\0' } },
    { env: { 'A\0': '' } },
    { cwd: '/a\0b' },
    { user: 'root\0' },
  ]) {
    const refused = { code: 'SANDBOX_BAD_OPTION' };
    assert.throws(() => spawnPayload({ ...request, ...wrong }), refused);
    assert.throws(() => rehearsePayload([request, { ...request, ...wrong }]), refused);
  }
});

test('a string is in the guest what it was on the host', () => {
  const property = fc.property(fc.string({ unit: 'binary' }), (text) => {
    assert.equal(textOf(utf8(text)), text);
  });
  fc.assert(property, { seed: 240, numRuns: 300 });
  assert.equal(textOf(utf8('a\ud800b')), 'a\ud800b');
});
