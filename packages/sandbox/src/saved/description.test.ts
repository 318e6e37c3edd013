import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDescription } from './description.ts';

const about = {
  saved: 1,
  image: 'os:base',
  hostname: 'box',
  environment: {},
  execution: { entrypoint: [], cmd: [] },
  maxProcesses: 9,
  next: 1,
  commands: [],
  labels: {},
  root: { kind: 'erofs', path: '/x' },
  fingerprint: 'x',
  memoryMiB: 128,
  cpus: 1,
  terminals: 2,
  maxWritten: 9,
};
const parse = (volumes: unknown) =>
  parseDescription(new TextEncoder().encode(JSON.stringify({ ...about, volumes })));

test('volumes are directories or images, and nothing between', () => {
  const directory = { path: '/v', directory: '/tmp', readOnly: true };
  const image = { kind: 'erofs', path: '/x' };
  const volume = { path: '/i', name: 'x', image, fingerprint: 'x' };
  const volumes = [directory, volume];
  assert.deepEqual(parse(volumes).volumes, volumes);
  for (const bad of [
    { ...directory, readOnly: 1 },
    { ...directory, image: undefined, directory: 1 },
    { ...directory, image },
    { ...volume, name: undefined },
    { ...volume, fingerprint: 7 },
    { ...volume, image: { ...image, kind: 'directory' } },
    { ...volume, image: { kind: 'tar' } },
    { ...volume, image: null },
    { path: '/v' },
    null,
    'x',
  ]) {
    assert.throws(() => parse([bad]), { code: 'SANDBOX_FILE_DAMAGED' }, JSON.stringify(bad));
  }
});
