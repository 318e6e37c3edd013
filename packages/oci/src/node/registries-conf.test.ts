import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { formatReference, parseFullReference, parseReference } from '../index.ts';
import { temporary } from '../testing/tools.ts';
import { RegistriesConfiguration } from './index.ts';

function load(test: TestContext, text: string, more: Record<string, string> = {}) {
  const file = join(temporary(test), 'registries.conf');
  writeFileSync(file, text);
  return RegistriesConfiguration.load({ CONTAINERS_REGISTRIES_CONF: file, ...more });
}

const digest = `sha256:${'0'.repeat(64)}`;

describe('registries.conf', () => {
  it('completes short names by aliases and by the one registry for them', async (test) => {
    const one = await load(
      test,
      `unqualified-search-registries = ["one.example"]
       [aliases]
       "web" = "far.example/team/web"`,
    );
    const expand = (text: string) => formatReference(one.expand(parseReference(text)));
    assert.equal(expand('web:2'), 'far.example/team/web:2');
    assert.equal(expand('team/x'), 'one.example/team/x');
    assert.equal(expand('h.example/x'), 'h.example/x');
    const own = await load(test, '', { ANOLE_REGISTRY: 'own.example' });
    assert.equal(formatReference(own.expand(parseReference('x'))), 'own.example/x');
  });

  it('guesses no registry where there are several or none', async (test) => {
    const two = await load(test, 'unqualified-search-registries = ["a.example", "b.example"]');
    assert.throws(() => two.expand(parseReference('x')), {
      code: 'OCI_NO_REGISTRY',
      hint: 'Write one of a.example/x, b.example/x.',
    });
    const none = await load(test, '');
    assert.throws(() => none.expand(parseReference('x')), { code: 'OCI_NO_REGISTRY' });
  });

  it('leads to mirrors and other locations, by the longest prefix', async (test) => {
    const configuration = await load(
      test,
      `[[registry]]
       location = "far.example"
       [[registry.mirror]]
       location = "near.example:5000/cache"
       insecure = true
       [[registry]]
       prefix = "far.example/team"
       location = "other.example/x"
       [[registry.mirror]]
       location = "digests.example"
       pull-from-mirror = "digest-only"
       [[registry]]
       prefix = "*.wild.example"
       location = "inside.example"
       [[registry]]
       location = "bad.example"
       blocked = true`,
    );
    const places = (text: string) =>
      configuration
        .places(parseFullReference(text))
        .map(({ reference, insecure }) => formatReference(reference) + (insecure ? ' !' : ''));
    assert.deepEqual(places('far.example/a/b:1'), [
      'near.example:5000/cache/a/b:1 !',
      'far.example/a/b:1',
    ]);
    assert.deepEqual(places('far.example/team/web:1'), ['other.example/x/web:1']);
    assert.deepEqual(places(`far.example/team/web@${digest}`), [
      `digests.example/web@${digest}`,
      `other.example/x/web@${digest}`,
    ]);
    assert.deepEqual(places('far.example/teams/web'), [
      'near.example:5000/cache/teams/web !',
      'far.example/teams/web',
    ]);
    assert.deepEqual(places('a.wild.example/web'), ['inside.example/web']);
    assert.deepEqual(places('else.example/web'), ['else.example/web']);
    assert.throws(() => places('bad.example/web'), { code: 'OCI_FORBIDDEN' });
  });

  it("is the user's before the system's, with the small files beside it", async (test) => {
    const home = temporary(test);
    const parts = join(home, '.config/containers/registries.conf.d');
    mkdirSync(parts, { recursive: true });
    writeFileSync(join(home, '.config/containers/registries.conf'), '');
    writeFileSync(join(parts, '1.conf'), 'unqualified-search-registries = ["a.example"]');
    writeFileSync(join(parts, '2.conf'), 'unqualified-search-registries = ["b.example"]');
    const configuration = await RegistriesConfiguration.load({ HOME: home });
    const found = configuration.expand(parseReference('no-alias-has-this-name'));
    assert.equal(found.host, 'b.example');
  });

  it('is refused where it is wrong', async (test) => {
    for (const text of [
      'a =',
      'unqualified-search-registries = 1',
      '[[registry]]\nblocked = true',
      '[[registry]]\nlocation = "x.example"\n[[registry.mirror]]\nlocation = "y.example"\npull-from-mirror = "x"',
      '[aliases]\nx = 1',
    ]) {
      await assert.rejects(load(test, text), { code: 'OCI_BAD_CONFIGURATION' });
    }
  });
});
