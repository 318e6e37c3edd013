import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { RawLayout } from '../../packages/oci/src/testing/images.ts';
import { needs, temporary } from '../../packages/oci/src/testing/tools.ts';
import { type RawMember, rawTar } from '../../packages/vfs/test/raw-tar.ts';
import { anoleIn } from './anole-image.ts';

interface Case {
  /** Members of the layers, the lowest first; names may need a directory outside. */
  layers(outside: string): readonly (readonly RawMember[])[];
  /** The code where the image is refused; else what is in the directory. */
  readonly code?: string;
  expect?(goal: string, outside: string): void;
}

const file = (name: string, body = 'evil'): RawMember => ({ name, body });
const link = (name: string, to: string): RawMember => ({ name, type: '2', link: to });
const hard = (name: string, to: string): RawMember => ({ name, type: '1', link: to });
const textOf = (...path: string[]) => readFileSync(join(...path), 'utf8');

/** Layers as nobody should write them, and what unpacking does with each. */
const cases: Readonly<Record<string, Case>> = {
  'a link that leads outside, and a file through it': {
    layers: (outside) => [[link('a', outside), file('a/file')]],
    expect(goal, outside) {
      assert.equal(readlinkSync(join(goal, 'a')), outside);
      assert.equal(textOf(goal, outside, 'file'), 'evil');
    },
  },
  'a directory that an upper layer makes a link outside, and a third writes into': {
    layers: (outside) => [[file('d/kept', 'kept')], [link('d', outside)], [file('d/file')]],
    expect: (goal, outside) => assert.equal(textOf(goal, outside, 'file'), 'evil'),
  },
  'a chain of links that climbs': {
    layers: () => [[link('x', '../../../../../../..'), link('y', 'x/etc'), file('y/file')]],
    expect: (goal) => assert.equal(textOf(goal, 'etc/file'), 'evil'),
  },
  'an absolute name': {
    layers: (outside) => [[file(join(outside, 'file'))]],
    expect: (goal, outside) => assert.equal(textOf(goal, outside, 'file'), 'evil'),
  },
  'a name that climbs': { layers: () => [[file('a/../../file')]], code: 'TAR_BAD_NAME' },
  'a name that is only dots': { layers: () => [[file('..')]], code: 'TAR_BAD_NAME' },
  'a hard link that climbs': { layers: () => [[hard('x', '../x')]], code: 'TAR_BAD_NAME' },
  'a hard link to a file of this computer': {
    layers: (outside) => [[hard('x', join(outside, 'own'))]],
    code: 'TAR_BAD_LINK',
  },
  'a hard link to itself': { layers: () => [[hard('x', 'x')]], code: 'TAR_BAD_LINK' },
  'a hard link through a link outside': {
    layers: (outside) => [[link('a', outside), hard('x', 'a/own')]],
    code: 'TAR_BAD_LINK',
  },
  'a whiteout of what is above': { layers: () => [[file('.wh...')]], code: 'TAR_BAD_NAME' },
  'a whiteout of nothing': { layers: () => [[file('.wh.')]], code: 'TAR_BAD_NAME' },
  'links in a circle, and a file through them': {
    layers: () => [[link('a', 'b'), link('b', 'a'), file('a/file')]],
    code: 'VFS_LOOP',
  },
  'one name many times, as other things': {
    layers: () => [
      [
        file('n', 'first'),
        { name: 'n', type: '5' },
        file('n/inner'),
        link('n', 'elsewhere'),
        file('n', 'last'),
      ],
    ],
    expect(goal) {
      assert.deepEqual(readdirSync(goal), ['n']);
      assert.equal(textOf(goal, 'n'), 'last');
    },
  },
  devices: {
    // Character device 1:3, as /dev/null.
    layers: () => [
      [{ name: 'null', type: '3', patch: [329, [...Buffer.from('0000001\0' + '0000003\0')]] }],
    ],
    expect: (goal) => assert.ok(lstatSync(join(goal, 'null')).isCharacterDevice()),
  },
  'a file over the root': { layers: () => [[file('.')]], code: 'VFS_' },
};

describe('anole image unpack, of an image with', { skip: needs('root') }, () => {
  for (const [what, { layers, code, expect }] of Object.entries(cases)) {
    it(`${what}: nothing is written outside`, (test) => {
      const directory = temporary(test);
      const at = (name: string) => join(directory, name);
      mkdirSync(at('outside'));
      writeFileSync(at('outside/own'), 'own');
      const raw = new RawLayout(at('layout'));
      const tars = layers(at('outside')).map((members) => ({ tar: rawTar(...members) }));
      raw.name(raw.image({ layers: tars }), 'a');
      const before = readdirSync(directory).sort();
      const anole = anoleIn(directory);
      const { status, stderr } = anole(['unpack', `oci:${at('layout')}:a`, at('goal')]);
      assert.deepEqual(readdirSync(at('outside')), ['own']);
      assert.equal(textOf(at('outside/own')), 'own');
      if (code === undefined) {
        assert.equal(status, 0, stderr);
        expect?.(at('goal'), at('outside'));
        return;
      }
      assert.equal(status, 1, stderr);
      assert.match(stderr, new RegExp(`code: ${code}`));
      const left = readdirSync(directory).filter((name) => name !== 'cache');
      assert.deepEqual(left.sort(), before, 'nothing is left of it');
    });
  }
});
