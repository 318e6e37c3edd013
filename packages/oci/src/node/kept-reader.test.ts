import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { mediaTypes, OciError, readNamed } from '../index.ts';
import { fakeRegistry, keep, type Trick } from '../testing/fake-registry.ts';
import { temporary } from '../testing/tools.ts';
import { KeptDocuments } from './index.ts';
import { KeptReader, type PullPolicy } from './kept-reader.ts';

const manifestOf = (size: number) => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const config = { mediaType: mediaTypes.config, digest, size };
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [] };
  return new TextEncoder().encode(JSON.stringify(manifest));
};

/** A registry all of whose tags stand for `state.digest`, and that may be away. */
async function setUp(test: TestContext) {
  const state = { digest: '', isAway: false };
  const tagged: Trick = (request, response, fake) => {
    if (request.url?.includes('sha256:')) return false;
    const bytes = fake.blobs.get(state.digest)!;
    response.writeHead(200, { 'content-type': mediaTypes.manifest }).end(bytes);
    return true;
  };
  const fake = await fakeRegistry(test, tagged);
  state.digest = keep(fake, manifestOf(1));
  const documents = new KeptDocuments(join(temporary(test), 'documents'));
  const { name } = fake.repository();
  const reader = (pull: PullPolicy) =>
    new KeptReader({
      names: [name],
      documents,
      pull,
      async open() {
        if (state.isAway) throw new OciError('OCI_UNREACHABLE', 'Cannot reach it');
        return fake.repository({ documents });
      },
    });
  const digestBy = async (pull: PullPolicy, selector: string) =>
    (await readNamed(reader(pull), selector)).descriptor.digest;
  return { fake, state, reader, digestBy };
}

describe('what a tag stands for', () => {
  it('is asked for always, or where it is missing, or never', async (test) => {
    const { fake, state, digestBy } = await setUp(test);
    const former = state.digest;
    await assert.rejects(digestBy('never', 'it'), { code: 'OCI_NOT_FOUND' });
    assert.equal(fake.asked.length, 0);
    assert.equal(await digestBy('missing', 'it'), former);
    state.digest = keep(fake, manifestOf(2));
    const asked = fake.asked.length;
    assert.equal(await digestBy('missing', 'it'), former);
    assert.equal(await digestBy('never', 'it'), former);
    assert.equal(fake.asked.length, asked, 'nobody was asked');
    assert.equal(await digestBy('always', 'it'), state.digest);
    assert.equal(await digestBy('never', 'it'), state.digest, 'what it was the last time');
    await assert.rejects(digestBy('never', 'other'), { code: 'OCI_NOT_FOUND' });
  });

  it('is what it was where its registry is away, for those who say so', async (test) => {
    const { state, reader, digestBy } = await setUp(test);
    const digest = await digestBy('always', 'it');
    assert.equal(await digestBy('always', digest), digest);
    state.isAway = true;
    await assert.rejects(digestBy('always', 'it'), (error: OciError) => {
      assert.equal(error.code, 'OCI_UNREACHABLE');
      assert.match(error.hint ?? '', new RegExp(`${digest}.*--pull missing`));
      return true;
    });
    await assert.rejects(digestBy('missing', 'other'), (error: OciError) => {
      assert.equal(error.code, 'OCI_UNREACHABLE');
      assert.equal(error.hint, undefined, 'there is nothing to take');
      return true;
    });
    assert.equal(await digestBy('missing', 'it'), digest);
    assert.equal(await digestBy('always', digest), digest, 'a digest is what it was');
    const subject = { digest };
    await assert.rejects(reader('never').referrers(subject), { code: 'OCI_NOT_FOUND' });
    await assert.rejects(reader('missing').referrers(subject), { code: 'OCI_UNREACHABLE' });
    state.isAway = false;
    assert.deepEqual(await reader('missing').referrers(subject), []);
  });
});
