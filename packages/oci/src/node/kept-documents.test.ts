import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { mediaTypes, readManifest, readNamed } from '../index.ts';
import { fakeRegistry, keep, type Trick } from '../testing/fake-registry.ts';
import { temporary } from '../testing/tools.ts';
import { KeptDocuments } from './index.ts';

const encode = (value: object) => new TextEncoder().encode(JSON.stringify(value));
const manifestOf = (size: number) => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const config = { mediaType: mediaTypes.config, digest, size };
  return encode({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [] });
};

/** A registry whose tag `it` stands for `state.digest`, and says so in a line to who knows it. */
async function setUp(test: TestContext) {
  const state = { digest: '', bodies: 0 };
  const tagged: Trick = (request, response, fake) => {
    const isTag = request.url?.endsWith('/it');
    if (isTag && request.headers['if-none-match'] === `"${state.digest}"`) {
      response.writeHead(304).end();
      return true;
    }
    state.bodies++;
    if (!isTag) return false;
    const bytes = fake.blobs.get(state.digest)!;
    response.writeHead(200, { 'content-type': mediaTypes.manifest }).end(bytes);
    return true;
  };
  const fake = await fakeRegistry(test, tagged);
  state.digest = keep(fake, manifestOf(1));
  const directory = join(temporary(test), 'documents');
  /** As another process would have it. */
  const repository = () => fake.repository({ documents: new KeptDocuments(directory) });
  return { fake, state, directory, repository };
}

describe('manifests that are kept', () => {
  it('come once, as long as the tag stands for them', async (test) => {
    const { fake, state, repository } = await setUp(test);
    for (let turn = 0; turn < 3; turn++) {
      const { descriptor } = await readNamed(repository(), 'it');
      assert.equal(descriptor.digest, state.digest);
      assert.equal(descriptor.mediaType, mediaTypes.manifest);
      assert.equal(state.bodies, 1);
    }
    const former = state.digest;
    state.digest = keep(fake, manifestOf(2));
    const { descriptor } = await readNamed(repository(), 'it');
    assert.equal(descriptor.digest, state.digest);
    assert.equal(state.bodies, 2);
    assert.equal(fake.asked.length, 4, 'each name is asked for once each time');
    const other = { mediaType: mediaTypes.manifest, digest: former, size: manifestOf(1).length };
    await readManifest(repository(), other);
    assert.equal(fake.asked.length, 4, 'what is named by its digest is not asked for');
  });

  it('are not believed: what has rotted comes again', async (test) => {
    const { state, directory, repository } = await setUp(test);
    await readNamed(repository(), 'it');
    for (const name of readdirSync(directory)) writeFileSync(join(directory, name), 'rot');
    const { descriptor } = await readNamed(repository(), 'it');
    assert.equal(descriptor.digest, state.digest);
    assert.equal(state.bodies, 2);
  });

  it('make room for others, and may be lost', async (test) => {
    const directory = temporary(test);
    const documents = new KeptDocuments(directory);
    for (let count = 0; count < 1100; count++) {
      await documents.put(`sha256:${count}`, Uint8Array.of(count & 255));
    }
    assert.ok(readdirSync(directory).length <= 512);
    assert.deepEqual([...((await documents.get('sha256:1099')) ?? [])], [1099 & 255]);
    await documents.put('sha256:large', new Uint8Array(300 * 1024));
    assert.equal(await documents.get('sha256:large'), undefined);
    const nowhere = new KeptDocuments('/proc/nowhere');
    await nowhere.put('sha256:1', Uint8Array.of(1));
    assert.equal(await nowhere.get('sha256:1'), undefined);
  });
});
