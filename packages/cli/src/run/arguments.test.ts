import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandOf, durationOf, environmentOf, memoryOf, targetOf, volumeOf } from './arguments.ts';

const usage = { code: 'CLI_USAGE' };

test('the first word is the image, unless -- came before it', () => {
  assert.deepEqual(targetOf(['a', 'b'], false, false), { image: 'a', argv: ['b'] });
  assert.deepEqual(targetOf(['a', '--', 'b'], false, false), { image: 'a', argv: ['b'] });
  assert.deepEqual(targetOf(['a', 'b'], true, false), { image: 'os:base', argv: ['a', 'b'] });
  assert.deepEqual(targetOf(['a', '--', 'b'], true, false).argv, ['a', '--', 'b']);
});

test('options behind an image are no command, but those of the command that a container image has', () => {
  const late = { ...usage, message: /--volume: options go before the image/ };
  assert.throws(() => targetOf(['os:base', '--volume', 'a:b', '--', 'ls'], false, false), late);
  assert.deepEqual(targetOf(['os:base', '-'], false, false).argv, ['-']);
  const words = ['h.example/web', '--port', '80'];
  assert.deepEqual(targetOf(words, false, false).argv, ['--port', '80']);
  assert.deepEqual(targetOf(['-x'], true, false).argv, ['-x']);
});

test('without a command a terminal gets a shell, and all else an error', () => {
  assert.deepEqual(targetOf([], false, true), { image: 'os:base', argv: ['sh'] });
  assert.deepEqual(targetOf(['a'], false, true), { image: 'a', argv: ['sh'] });
  assert.throws(() => targetOf(['a'], false, false), usage);
});

test('a container image has a command of its own, before or instead of that given', () => {
  const target = (...words: string[]) => targetOf(['h.example/web', ...words], false, false);
  const made = { entrypoint: ['/entry'], cmd: ['by', 'default'] };
  const none = { entrypoint: [], cmd: [] };
  assert.deepEqual(commandOf(target(), made, {}), ['/entry', 'by', 'default']);
  assert.deepEqual(commandOf(target('x'), made, {}), ['/entry', 'x']);
  assert.deepEqual(commandOf(target('x'), made, { entrypoint: '' }), ['x']);
  assert.deepEqual(commandOf(target(), made, { entrypoint: '/other' }), ['/other']);
  assert.deepEqual(commandOf(target(), none, { tty: true }), ['sh']);
  assert.throws(() => commandOf(target(), none, {}), usage);
});

test('variables are set, taken from here, or left out', () => {
  const own = { HERE: 'x' };
  assert.deepEqual(environmentOf(['A=b=c', 'E=', 'HERE', 'NOT_HERE'], own), {
    A: 'b=c',
    E: '',
    HERE: 'x',
  });
  assert.throws(() => environmentOf(['=x'], own), usage);
});

test('sizes and durations have units', () => {
  assert.deepEqual(
    ['512', '512M', '2g', '1.5GiB', '65536k'].map(memoryOf),
    [512, 512, 2048, 1536, 64],
  );
  assert.deepEqual(
    ['30', '1.5s', '250ms', '5m', '1h'].map(durationOf),
    [30e3, 1500, 250, 3e5, 36e5],
  );
  for (const text of ['', 'x', '-1', '1 G']) assert.throws(() => memoryOf(text), usage);
  for (const text of ['', '0', '-1s', '1d', '1000h']) assert.throws(() => durationOf(text), usage);
});

test('a volume is a path or the name of an image, a path, and perhaps a mode', () => {
  assert.deepEqual(volumeOf('.:/work'), { host: '.', guest: '/work' });
  assert.deepEqual(volumeOf('.:/work:rw'), { host: '.', guest: '/work', readOnly: false });
  assert.deepEqual(volumeOf('/a:/b:ro'), { host: '/a', guest: '/b', readOnly: true });
  assert.deepEqual(volumeOf('a:b:/c d'), { host: 'a:b', guest: '/c d' });
  const host = 'docker://localhost:5000/data:1';
  assert.deepEqual(volumeOf(`${host}:/data`), { host, guest: '/data' });
  assert.deepEqual(volumeOf(`${host}:/data:ro`), { host, guest: '/data', readOnly: true });
  const bad = [
    '/a',
    '/a:',
    ':/b',
    'a:b',
    '/a:/b:rx',
    '/a:/b:ro:z',
    'docker://h/n',
    'docker://h/n:1',
  ];
  for (const text of bad) assert.throws(() => volumeOf(text), usage, text);
});
