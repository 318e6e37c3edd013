import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnoleError } from '@anole/bytes';
import fc from 'fast-check';
import {
  encodeManifest,
  formatPlatform,
  mediaTypes,
  parseConfig,
  parseManifest,
  parsePlatform,
  selectPlatform,
} from './index.ts';

const digest = `sha256:${'0'.repeat(64)}`;
const config = { mediaType: mediaTypes.config, digest, size: 2 };
const sound = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [] };

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
}

describe('manifests', () => {
  it('are read and written the same', () => {
    const layer = { mediaType: mediaTypes.layerZstd, digest, size: 7, annotations: { a: 'b' } };
    const bytes = bytesOf({ ...sound, layers: [layer], subject: config, annotations: { c: 'd' } });
    assert.deepEqual(encodeManifest(parseManifest(bytes)), bytes);
    const platform = { architecture: 'riscv64', os: 'linux', 'os.features': ['erofs'] };
    const index = {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [{ ...config, mediaType: mediaTypes.manifest, platform }],
    };
    assert.deepEqual(encodeManifest(parseManifest(bytesOf(index))), bytesOf(index));
  });

  it('are told by what they have where nobody says their type', () => {
    assert.equal(parseManifest(bytesOf({ manifests: [] })).kind, 'index');
    assert.equal(parseManifest(bytesOf({ config, layers: [] })).kind, 'manifest');
    assert.equal(parseManifest(bytesOf({ manifests: [] }), 'application/json').kind, 'index');
  });

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['nothing', '', 'OCI_BAD_MANIFEST'],
    ['a list', [], 'OCI_BAD_MANIFEST'],
    ['half a document', '{"config":', 'OCI_BAD_MANIFEST'],
    ['no configuration', { layers: [] }, 'OCI_BAD_MANIFEST'],
    ['schema 1', { schemaVersion: 1, fsLayers: [] }, 'OCI_UNSUPPORTED'],
    ['two meanings', { ...sound, manifests: [] }, 'OCI_BAD_MANIFEST'],
    ['a size below zero', { ...sound, config: { ...config, size: -1 } }, 'OCI_BAD_MANIFEST'],
    ['an absurd size', { ...sound, config: { ...config, size: 1e300 } }, 'OCI_BAD_MANIFEST'],
    ['a size in words', { ...sound, config: { ...config, size: '2' } }, 'OCI_BAD_MANIFEST'],
    [
      'a digest that climbs',
      { ...sound, config: { ...config, digest: 'sha256:../../x' } },
      'OCI_BAD_MANIFEST',
    ],
    [
      'a digest of another hash',
      { ...sound, config: { ...config, digest: 'md5:00' } },
      'OCI_BAD_MANIFEST',
    ],
    ['another type', { ...sound, mediaType: 'text/html' }, 'OCI_BAD_MANIFEST'],
    ['too many layers', { ...sound, layers: Array(5000).fill(config) }, 'OCI_BAD_MANIFEST'],
    ['depth', `{"config":${'['.repeat(100_000)}`, 'OCI_BAD_MANIFEST'],
    ['size', `{"x":"${'x'.repeat(5_000_000)}"}`, 'OCI_TOO_LARGE'],
    ['a layer that is null', { ...sound, layers: [null] }, 'OCI_BAD_MANIFEST'],
    ['annotations that are no texts', { ...sound, annotations: { a: 1 } }, 'OCI_BAD_MANIFEST'],
  ];
  for (const [what, document, code] of wrong) {
    it(`are refused for ${what}`, () => {
      assert.throws(() => parseManifest(bytesOf(document)), { code });
    });
  }

  it('must be of the type that was promised', () => {
    assert.throws(() => parseManifest(bytesOf(sound), mediaTypes.index), {
      code: 'OCI_BAD_MANIFEST',
    });
  });

  it('end in a value or a coded error, whatever is changed in them', () => {
    const key = fc.constantFrom(
      'schemaVersion',
      'mediaType',
      'config',
      'layers',
      'manifests',
      'digest',
      'size',
      'subject',
      'annotations',
      '__proto__',
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, 0, -1, 1.5, '', digest, true, ...Object.values(mediaTypes)),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 6 }),
      ),
    }));
    fc.assert(
      fc.property(value, (document) => {
        for (const parse of [parseManifest, parseConfig]) {
          try {
            parse(bytesOf(JSON.stringify(document)));
          } catch (error) {
            if (!AnoleError.is(error)) throw error;
          }
        }
      }),
      { seed: 3, numRuns: 3000 },
    );
  });
});

describe('indexes', () => {
  const entry = (text: string, size: number, features: readonly string[] = []) => ({
    mediaType: mediaTypes.manifest,
    digest,
    size,
    platform: { ...parsePlatform(text), ...(features.length > 0 && { features }) },
  });
  const index = (...manifests: ReturnType<typeof entry>[]) =>
    ({ kind: 'index', mediaType: mediaTypes.index, manifests }) as const;

  it('give what fits best', () => {
    const all = index(
      entry('linux/amd64', 1),
      entry('linux/arm/v6', 2),
      entry('linux/arm/v7', 3),
      entry('linux/arm64/v8', 4),
      entry('unknown/unknown', 5),
      entry('linux/riscv64', 6),
    );
    const of = (text: string) => selectPlatform(all, parsePlatform(text)).size;
    assert.deepEqual(
      ['amd64', 'linux/arm/v7', 'linux/arm/v8', 'linux/arm/v6'].map(of),
      [1, 3, 3, 2],
    );
    assert.deepEqual(['arm', 'arm64', 'riscv64'].map(of), [3, 4, 6]);
    assert.throws(() => of('linux/arm/v5'), { code: 'OCI_NO_PLATFORM' });
    assert.throws(() => of('windows/amd64'), { code: 'OCI_NO_PLATFORM' });
  });

  it('give what needs a feature only to those who have it', () => {
    const both = index(entry('linux/riscv64', 1), entry('linux/riscv64', 2, ['erofs']));
    const wanted = parsePlatform('riscv64');
    assert.equal(selectPlatform(both, wanted).size, 1);
    assert.equal(selectPlatform(both, { ...wanted, features: ['erofs'] }).size, 2);
    assert.equal(formatPlatform(both.manifests[1]!.platform), 'linux(+erofs)/riscv64');
  });
});

describe('configurations', () => {
  it('give how commands run', () => {
    const document = {
      architecture: 'riscv64',
      os: 'linux',
      config: { Env: ['A=b'], Cmd: ['sh'], Entrypoint: null, User: '', WorkingDir: '/srv' },
      rootfs: { type: 'layers', diff_ids: [digest] },
    };
    const { execution, diffIds, platform } = parseConfig(bytesOf(document));
    assert.deepEqual(execution, {
      env: ['A=b'],
      cmd: ['sh'],
      entrypoint: [],
      labels: {},
      workingDirectory: '/srv',
    });
    assert.deepEqual(diffIds, [digest]);
    assert.equal(formatPlatform(platform), 'linux/riscv64');
    assert.throws(() => parseConfig(bytesOf({ rootfs: { diff_ids: ['x'] } })), {
      code: 'OCI_BAD_CONFIG',
    });
  });
});
