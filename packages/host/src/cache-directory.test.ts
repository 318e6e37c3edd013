import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { test } from 'node:test';
import { cacheDirectory } from './cache-directory.ts';

test('the cache is where ANOLE_CACHE says, before all else', () => {
  const environment = { ANOLE_CACHE: '/a', XDG_CACHE_HOME: '/x', HOME: '/h' };
  assert.equal(cacheDirectory(environment), '/a');
});

test('the cache is below XDG_CACHE_HOME where that is an absolute path', () => {
  assert.equal(cacheDirectory({ XDG_CACHE_HOME: '/x', HOME: '/h' }), '/x/anole');
  assert.equal(cacheDirectory({ XDG_CACHE_HOME: 'x', HOME: '/h' }), '/h/.cache/anole');
});

test('the cache is in the home directory else', () => {
  assert.equal(cacheDirectory({ HOME: '/h', XDG_CACHE_HOME: '' }), '/h/.cache/anole');
  assert.equal(cacheDirectory({}), `${homedir()}/.cache/anole`);
});
