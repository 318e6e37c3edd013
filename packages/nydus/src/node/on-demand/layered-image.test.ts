import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { mediaTypes } from '@anole/oci';
import { BlobCache } from '../cache/cache.ts';
import { BlobPool } from './blob-pool.ts';
import { openLayeredImage } from './layered-image.ts';

it('an index of a layer that is too large is refused before any of it is asked for', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'layered-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const digest = `sha256:${'1'.repeat(64)}`;
  const layer = { mediaType: mediaTypes.layerGzip, digest, size: 1000 };
  const ztoc = { mediaType: 'x', digest: `sha256:${'2'.repeat(64)}`, size: 2 ** 40 };
  const from = {
    source() {
      throw new Error('it was asked for');
    },
  };
  const reference = { name: 'x', layers: [layer], ztocs: { [digest]: ztoc } };
  await assert.rejects(openLayeredImage(reference, from, new BlobPool(new BlobCache(dir))), {
    code: 'OCI_TOO_LARGE',
  });
});
