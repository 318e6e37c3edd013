import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AnoleError } from '@anole/bytes';
import fc from 'fast-check';
import { scratch } from '../testing/debs.ts';
import { compileExclude } from './exclude.ts';
import { recipeJsonSchema } from './json-schema.ts';
import { builtInDirectory, listRecipes, loadRecipe } from './load.ts';
import { parseRecipe } from './parse.ts';

test('every built-in recipe loads for every architecture', async () => {
  const names = await listRecipes();
  assert.ok(names.includes('base') && names.includes('python') && names.includes('gcc'));
  for (const name of names) {
    for (const architecture of ['riscv64', 'arm64', 'amd64']) {
      const recipe = await loadRecipe(name, { architecture });
      assert.equal(recipe.kernelPackage, `linux-image-${architecture}`);
      assert.notEqual(recipe.description, '');
    }
  }
});

test('an extending recipe adds to lists and maps, and replaces single values', async () => {
  using directory = scratch();
  const write = (name: string, text: string) => writeFileSync(join(directory.path, name), text);
  write('mine.yaml', 'extends: base\npackages: [less]\nhostname: mine\nenvironment: { A: b }\n');
  write('more.yaml', 'extends: ./mine.yaml\npackages: [nano, less]\narchitecture: amd64\n');
  const recipe = await loadRecipe(join(directory.path, 'more.yaml'));
  assert.deepEqual(recipe.packages, ['procps', 'less', 'nano']);
  assert.equal(recipe.hostname, 'mine');
  assert.equal(recipe.environment['A'], 'b');
  assert.equal(recipe.environment['LANG'], 'C.UTF-8');
  assert.equal(recipe.architecture, 'amd64');
  assert.deepEqual([recipe.name, recipe.isBuiltIn], ['more', false]);
  assert.equal(recipe.sources[0], join(directory.path, 'more.yaml'));
});

test('what cannot be loaded is named with the next step', async () => {
  using directory = scratch();
  const path = (name: string, text: string) => {
    writeFileSync(join(directory.path, name), text);
    return join(directory.path, name);
  };
  await assert.rejects(loadRecipe('no-such'), {
    code: 'RECIPE_NOT_FOUND',
    hint: /base, debian, gcc/,
  });
  await assert.rejects(loadRecipe(path('a.yaml', 'extends: ./a.yaml')), {
    code: 'RECIPE_BAD_EXTENDS',
  });
  await assert.rejects(loadRecipe(path('b.yaml', 'packages: [x2]')), { code: 'RECIPE_INVALID' });
  await assert.rejects(loadRecipe('base', { architecture: 'm68k' }), {
    code: 'RECIPE_BAD_ARCHITECTURE',
  });
});

const wrong: readonly (readonly [string, RegExp])[] = [
  ['packages: less\n', /r\.yaml:1:1: packages must be Array/],
  ['packages:\n  - less\n  - Not A Name\n', /r\.yaml:3:5: packages\[1\] is no name of a package/],
  ['hostname: ok\ncolour: red\n', /r\.yaml:2:1: colour is not known here/],
  ['architecture: mips\n', /r\.yaml:1:1: architecture must be \("riscv64"/],
  [
    'files:\n  - path: relative\n    content: x\n',
    /r\.yaml:2:5: files\[0\]\.path is no absolute path/,
  ],
  ['files:\n  - { path: /a/../b, link: x }\n', /files\[0\]/],
  ['environment:\n  A: 1\n', /r\.yaml:2:3: environment\.A must be string, not 1/],
  ['users:\n  - { name: root:x }\n', /users\[0\]\.name is no name of a user/],
  ['a: [\n', /r\.yaml:\d+:\d+: /],
  ['- a\n', /r\.yaml:1:1: the file must be a map/],
  ['files:\n  - { path: /a }\n', /r\.yaml:2:5: files\[0\] must be a path with one of/],
  ['a: &a [x]\nb: *c\n', /r\.yaml: Unresolved alias/],
];

for (const [text, message] of wrong) {
  test(`"${text.trim().split('\n').at(-1)}" is refused with its place`, () => {
    assert.throws(() => parseRecipe(text, 'r.yaml'), { code: 'RECIPE_INVALID', message });
  });
}

test('no text makes the parser fail in another way', () => {
  const piece = fc.constantFrom(
    'packages',
    ':',
    ' ',
    '\n',
    '- ',
    '[',
    ']',
    '{',
    '&a',
    '*a',
    '!',
    '"',
    '0',
    '|',
    'files',
    'path',
    '#',
    ',',
    '<<',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      try {
        parseRecipe(pieces.join(''), 'r.yaml');
      } catch (error) {
        assert.ok(AnoleError.is(error), String(error));
      }
    }),
    { seed: 58, numRuns: 500 },
  );
});

test('aliases that grow without bound are refused', () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]\n`,
  );
  assert.throws(() => parseRecipe(`l0: &l0 [x]\n${levels.join('')}`, 'r.yaml'), {
    code: 'RECIPE_INVALID',
  });
});

test('the last pattern that matches decides what is left out', () => {
  const exclude = compileExclude([
    'usr/share/doc/**',
    '!usr/share/doc/*/copyright',
    '/var/*/x?',
    '*.pyc',
  ]);
  const paths = {
    'usr/share/doc': false,
    'usr/share/doc/bash': true,
    'usr/share/doc/bash/README': true,
    'usr/share/doc/bash/copyright': false,
    'usr/share/doc/a/b/copyright': true,
    'var/a/x1': true,
    'var/a/b/x1': false,
    'top.pyc': true,
    'usr/deep.pyc': false,
  };
  for (const [path, isOut] of Object.entries(paths)) assert.equal(exclude(path), isOut, path);
});

test('the schema for editors is the one that recipes are checked with', () => {
  const file = readFileSync(join(builtInDirectory, 'recipe.schema.json'), 'utf8');
  assert.deepEqual(JSON.parse(file), recipeJsonSchema());
});
