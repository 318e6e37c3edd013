import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { maxPayload } from './agent/wire.ts';
import { rehearsalFor } from './rehearsal-order.ts';

const directory = mkdtempSync(join(tmpdir(), 'anole-rehearsal-'));
after(() => rmSync(directory, { recursive: true }));

const file = (name: string): string => {
  const path = join(directory, name);
  writeFileSync(path, name);
  return path;
};
const root = { kind: 'erofs', path: file('image') } as const;
const boot = { kernel: file('kernel'), initramfs: file('initramfs') };
const shape = { memoryMiB: 512, cpus: 1, terminals: 0, volumes: [] };

/** Of an image with so many bytes of variables. */
const rehearsalWith = (size: number) => {
  const environment = Object.fromEntries(
    Array.from({ length: size >> 10 }, (_, index) => [`V${index}`, 'x'.repeat(1 << 10)]),
  );
  return rehearsalFor({ root, environment }, [boot, shape, { cache: directory }]);
};

test('an image whose variables fit into a frame for each command is rehearsed, another one is not', async () => {
  for (const size of [0, 1 << 10, 500 << 10]) {
    const rehearsal = await rehearsalWith(size);
    assert.ok(rehearsal!.payload.length > 2 * size && rehearsal!.payload.length <= maxPayload);
  }
  assert.equal(await rehearsalWith(512 << 10), undefined);
  assert.equal(await rehearsalWith(900 << 10), undefined);
});
