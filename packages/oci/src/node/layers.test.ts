import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MemoryTree } from '@anole/vfs';
import { OciError, openImage, parsePlatform } from '../index.ts';
import { RawLayout, tarOf, treeOf, twoLayers } from '../testing/images.ts';
import { temporary } from '../testing/tools.ts';
import { imageTree, LayoutDirectory } from './index.ts';

const platform = parsePlatform('linux/amd64');

describe('file systems of images', () => {
  const cases: readonly (readonly [
    string,
    (raw: RawLayout, tar: Uint8Array) => ReturnType<RawLayout['image']>,
    string,
  ])[] = [
    [
      'a layer that is not that of its diff id',
      (raw, tar) => {
        const image = raw.image({ layers: [{ tar }] });
        return changed(raw, image.digest, (manifest) => {
          const [layer] = manifest['layers'] as {
            digest: string;
            size: number;
            mediaType: string;
          }[];
          const config = JSON.parse(raw.read((manifest['config'] as { digest: string }).digest));
          config.rootfs.diff_ids = [`sha256:${'0'.repeat(64)}`];
          return {
            ...manifest,
            config: raw.json('application/vnd.oci.image.config.v1+json', config),
            layers: [layer],
          };
        });
      },
      'OCI_WRONG_CONTENT',
    ],
    [
      'more layers than digests',
      (raw, tar) => {
        const image = raw.image({ layers: [{ tar }] });
        return changed(raw, image.digest, (manifest) => ({
          ...manifest,
          layers: [...(manifest['layers'] as unknown[]), ...(manifest['layers'] as unknown[])],
        }));
      },
      'OCI_BAD_MANIFEST',
    ],
    [
      'a layer of a type that is none',
      (raw, tar) => {
        const image = raw.image({ layers: [{ tar }] });
        return changed(raw, image.digest, (manifest) => ({
          ...manifest,
          layers: [{ ...(manifest['layers'] as object[])[0], mediaType: 'text/plain' }],
        }));
      },
      'OCI_UNSUPPORTED',
    ],
    [
      'a layer that is not compressed as it says',
      (raw, tar) => {
        const image = raw.image({ layers: [{ tar, compression: 'none' }] });
        return changed(raw, image.digest, (manifest) => ({
          ...manifest,
          layers: [
            {
              ...(manifest['layers'] as object[])[0],
              mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
            },
          ],
        }));
      },
      'OCI_BAD_LAYER',
    ],
  ];

  function changed(
    raw: RawLayout,
    digest: string,
    change: (manifest: Record<string, unknown>) => unknown,
  ) {
    return raw.json(
      'application/vnd.oci.image.manifest.v1+json',
      change(JSON.parse(raw.read(digest))),
    );
  }

  for (const [what, make, code] of cases) {
    it(`are refused for ${what}`, async (test) => {
      const raw = new RawLayout(join(temporary(test), 'raw'));
      raw.name(make(raw, (await twoLayers())[0]!), 'a');
      await assert.rejects(treeOf(test, new LayoutDirectory(raw.directory), 'a'), { code });
    });
  }

  it('do not grow beyond a limit: bombs are put out', async (test) => {
    const directory = temporary(test);
    const tree = new MemoryTree();
    tree.putFile('bomb', new Uint8Array(50_000_000));
    const tar = await tarOf(tree);
    for (const compression of ['gzip', 'zstd'] as const) {
      const raw = new RawLayout(join(directory, compression));
      raw.name(raw.image({ layers: [{ tar, compression }] }), 'a');
      const reader = new LayoutDirectory(raw.directory);
      const image = await openImage(reader, await reader.resolve(), platform);
      const options = { scratch: directory, maxLayer: 1_000_000 };
      await assert.rejects(imageTree(image, options), { code: 'OCI_TOO_LARGE' });
    }
  });

  it('are refused where bytes of a layer were changed', async (test) => {
    const directory = temporary(test);
    const raw = new RawLayout(join(directory, 'raw'));
    const tree = new MemoryTree();
    tree.putFile('noise', new Uint8Array(randomBytes(200_000)));
    const tar = await tarOf(tree);
    const image = raw.image({ layers: [{ tar }] });
    raw.name(image, 'a');
    const [layer] = JSON.parse(raw.read(image.digest)).layers;
    const file = join(raw.directory, 'blobs/sha256', layer.digest.slice(7));
    const bytes = readFileSync(file);
    for (const at of [0, 5, 15, bytes.length >> 1, bytes.length - 3]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x55;
      writeFileSync(file, damaged);
      await assert.rejects(treeOf(test, new LayoutDirectory(raw.directory)), OciError);
    }
    writeFileSync(file, bytes.subarray(0, 1000));
    await assert.rejects(treeOf(test, new LayoutDirectory(raw.directory)), OciError);
  });
});
