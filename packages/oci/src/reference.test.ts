import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnoleError } from '@anole/bytes';
import fc from 'fast-check';
import {
  formatReference,
  parseChallenges,
  parseFullReference,
  parsePlatform,
  parseReference,
} from './index.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('references', () => {
  const cases: readonly (readonly [string, object])[] = [
    ['web', { repository: 'web' }],
    ['team/web:1.2', { repository: 'team/web', tag: '1.2' }],
    ['registry.example/web', { host: 'registry.example', repository: 'web' }],
    ['localhost/web', { host: 'localhost', repository: 'web' }],
    ['localhost:5000/a/b_c/d--e:T', { host: 'localhost:5000', repository: 'a/b_c/d--e', tag: 'T' }],
    ['127.0.0.1:5000/web', { host: '127.0.0.1:5000', repository: 'web' }],
    ['[::1]:5000/web:x', { host: '[::1]:5000', repository: 'web', tag: 'x' }],
    [`registry.example/web@${digest}`, { host: 'registry.example', repository: 'web', digest }],
    [`web:1@${digest}`, { repository: 'web', tag: '1', digest }],
  ];
  for (const [text, parts] of cases) {
    it(`read ${text.slice(0, 40)} and write it the same`, () => {
      const found = parseReference(text);
      assert.deepEqual(found, parts);
      assert.equal(formatReference(found), text);
    });
  }

  const wrong = [
    '',
    '/',
    'web:',
    ':tag',
    'Web',
    'a//b',
    'a/',
    '/a',
    'a/../b',
    '.a/b',
    'a..b',
    '-a',
    'a_-b',
    'web@sha256:12',
    'web@md5:00',
    `web@${digest.toUpperCase()}`,
    'host:99999999/web',
    'ho st.example/web',
    'host.example/web?x',
    'web:a/b:c',
    `web:${'t'.repeat(129)}`,
    'n'.repeat(256),
    'x'.repeat(100_000),
    'http://host.example/web',
  ];
  for (const text of wrong) {
    it(`refuse ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(() => parseReference(text), { code: 'OCI_BAD_REFERENCE' });
    });
  }

  it('tell that no registry is named', () => {
    assert.throws(() => parseFullReference('web'), { code: 'OCI_NO_REGISTRY' });
  });

  it('end in a reference that is written as it was read, or in a coded error', () => {
    const piece = fc.constantFrom('a', 'B', '.', '/', ':', '@', '-', '_', '1', digest, 'localhost');
    const text = fc.oneof(
      fc.string(),
      fc.array(piece).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          assert.equal(formatReference(parseReference(given)), given);
        } catch (error) {
          if (!AnoleError.is(error)) throw error;
        }
      }),
      { seed: 1, numRuns: 5000 },
    );
  });
});

describe('platforms', () => {
  it('are read in the words of Go and of Linux', () => {
    assert.deepEqual(parsePlatform('riscv64'), { os: 'linux', architecture: 'riscv64' });
    assert.deepEqual(parsePlatform('linux/arm/v7'), {
      os: 'linux',
      architecture: 'arm',
      variant: 'v7',
    });
    assert.deepEqual(parsePlatform('linux/aarch64'), { os: 'linux', architecture: 'arm64' });
    for (const text of ['', '/', 'linux/', 'a/b/c/d', 'linux/arm/v7/x', 'li nux/arm']) {
      assert.throws(() => parsePlatform(text), { code: 'OCI_BAD_PLATFORM' });
    }
  });
});

describe('challenges', () => {
  it('are read as servers write them', () => {
    const header =
      'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push", Basic realm="all of \\"it\\""';
    assert.deepEqual(parseChallenges(header), [
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.example/token',
          service: 'registry.example',
          scope: 'repository:a/b:pull,push',
        },
      },
      { scheme: 'basic', parameters: { realm: 'all of "it"' } },
    ]);
    assert.deepEqual(parseChallenges('Basic'), [{ scheme: 'basic', parameters: {} }]);
    assert.deepEqual(parseChallenges(''), []);
  });

  it('never fail, whatever a server sends', () => {
    const piece = fc.constantFrom('Bearer', ' ', ',', '=', '"', '\\', 'realm', 'x', '\t');
    const text = fc.oneof(
      fc.string(),
      fc.array(piece).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (header) => {
        for (const { scheme } of parseChallenges(header)) assert.ok(scheme.length > 0);
      }),
      { seed: 2, numRuns: 5000 },
    );
  });
});
