import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linearExpression } from './expressions.ts';

test('an expression is refused where a class would take half of a character', () => {
  for (const text of ['^[😀]', '[^😀]', '[a-z😀]', '[\\]😀]', '\\\\[😀]', '\\[[😀]']) {
    assert.throws(() => linearExpression(text), { name: 'SyntaxError', message: /U\+FFFF/ }, text);
  }
});

test('such a character is matched elsewhere', () => {
  for (const text of ['^😀$', '[a]?😀', '\\[?😀', '^(a|😀)$', '[[]?😀', '[\\\\]?😀']) {
    assert.ok(linearExpression(text).test('😀'), text);
    assert.ok(!linearExpression(text).test('🙂'), text);
  }
});

test('a loose expression takes what files of contexts hold', () => {
  const loose = (text: string) => linearExpression(text, { loose: true });
  assert.ok(loose('^/a\\-b\\_c.$').test('/a-b_c\n'));
  assert.throws(() => linearExpression('^/a\\-b$'), SyntaxError);
  assert.ok(!linearExpression('^a.$').test('a\n'));
  for (const text of ['(a)\\1', 'a(?=b)', '\\p{L}', '(', '[😀]']) {
    assert.throws(() => loose(text), SyntaxError, text);
  }
});
