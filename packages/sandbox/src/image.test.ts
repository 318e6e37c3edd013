import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasTransport } from '@anole/oci/transports';
import { isContainer } from './image.ts';

test('names of container images have a transport, or a host before the first slash', async () => {
  const named = [
    'docker://h.example/web:1',
    'oci+https://h.example/path:1',
    'oci+http://localhost:1/path',
    's3://bucket/prefix',
    'oci:layout:tag',
    'oci-archive:file',
    'docker-archive:file:name:tag',
  ];
  for (const name of named) {
    assert.ok(hasTransport(name), name);
    assert.ok(await isContainer(name), name);
  }
  for (const name of ['localhost/web', 'h.example/web:1', 'localhost:5000/web']) {
    assert.ok(!hasTransport(name), name);
    assert.ok(await isContainer(name), name);
  }
  for (const name of [
    '/a/b',
    './a.b/c',
    '../a',
    'image.erofs',
    'os:base',
    's3/a',
    import.meta.dirname,
  ]) {
    assert.ok(!hasTransport(name), name);
    assert.ok(!(await isContainer(name)), name);
  }
});
