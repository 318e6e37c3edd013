import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { mediaTypes } from '../index.ts';
import { fakeRegistry, keep, status, type Trick } from '../testing/fake-registry.ts';
import { sha256 } from '../testing/images.ts';

const content = new Uint8Array(randomBytes(300_000));

describe('uploads', () => {
  /** A registry that takes uploads, and does `wrong` to the first ones that bring bytes, when so many have come. */
  function uploads(most: number, ...wrong: ((response: ServerResponse) => void)[]) {
    const state = { bytes: Buffer.alloc(0), done: false, begun: 0, sent: [] as string[] };
    const trick: Trick = async (request, response) => {
      const path = new URL(request.url ?? '', 'http://x');
      if (!path.pathname.includes('/uploads/')) return false;
      const location = () => `/v2/a/b/blobs/uploads/1?state=${state.bytes.length}`;
      const range = `0-${Math.max(state.bytes.length - 1, 0)}`;
      if (request.method === 'POST') {
        state.begun++;
        state.bytes = Buffer.alloc(0);
        response.writeHead(202, { location: location() }).end();
      } else if (request.method === 'GET') {
        if (state.done) response.writeHead(404).end();
        else response.writeHead(204, { location: location(), range }).end();
      } else {
        const { 'content-range': part = '', 'content-length': length = '' } = request.headers;
        state.sent.push(`${request.method} ${part} ${length}`.replace('  ', ' '));
        for await (const chunk of request) {
          state.bytes = Buffer.concat([state.bytes, chunk as Buffer]);
          if (state.bytes.length > most && wrong.length > 0) {
            wrong.shift()!(response);
            return true;
          }
        }
        state.done = request.method === 'PUT';
        response.writeHead(state.done ? 201 : 202, { location: location() }).end();
      }
      return true;
    };
    return { state, trick };
  }

  const descriptor = { mediaType: mediaTypes.layer, digest: '', size: content.length };
  async function* open(start: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < content.length; at += 10_000) {
      yield content.subarray(at, Math.min(at + 10_000, content.length));
    }
  }
  const breaks = (response: ServerResponse) => void response.socket!.destroy();

  it('are one request with all bytes, that ends them', async (test) => {
    const { state, trick } = uploads(0);
    const fake = await fakeRegistry(test, trick);
    await fake.repository().putBlob({ ...descriptor, digest: keep(fake, content) }, open);
    assert.ok(state.done && state.bytes.equals(content));
    assert.deepEqual(state.sent, ['PUT 300000']);
    const none = { ...descriptor, digest: keep(fake, new Uint8Array(0)), size: 0 };
    await fake.repository().putBlob(none, async function* () {});
    assert.deepEqual(state.sent, ['PUT 300000', 'PUT 0']);
  });

  it('go on where the connection broke', async (test) => {
    const { state, trick } = uploads(100_000, breaks, breaks);
    const fake = await fakeRegistry(test, trick);
    await fake.repository().putBlob({ ...descriptor, digest: keep(fake, content) }, open);
    assert.ok(state.done && state.bytes.equals(content));
    assert.equal(state.begun, 1);
    assert.equal(state.sent.length, 4);
    assert.match(state.sent[1] ?? '', /^PATCH [1-9]\d*-299999 [1-9]\d*$/);
    assert.match(state.sent[2] ?? '', /^PATCH [1-9]\d*-299999 [1-9]\d*$/);
    assert.equal(state.sent[3], 'PUT 0');
  });

  it('are tried again after an answer that may be otherwise later', async (test) => {
    for (const [code, headers] of [
      [503, {}],
      [429, { 'retry-after': '0' }],
    ] as const) {
      const refuses = (response: ServerResponse) => void response.writeHead(code, headers).end();
      const { state, trick } = uploads(100_000, refuses);
      const fake = await fakeRegistry(test, trick);
      await fake.repository().putBlob({ ...descriptor, digest: keep(fake, content) }, open);
      assert.ok(state.done && state.bytes.equals(content));
    }
    const refuses = (response: ServerResponse) => void response.writeHead(500).end();
    const { state, trick } = uploads(-1, ...Array.from({ length: 9 }, () => refuses));
    const fake = await fakeRegistry(test, trick);
    const whole = { ...descriptor, digest: keep(fake, content) };
    await assert.rejects(fake.repository({ retries: 0 }).putBlob(whole, open), {
      code: 'OCI_BAD_ANSWER',
    });
    assert.equal(state.sent.length, 1);
  });

  it('of which only the answer was lost are not made again', async (test) => {
    const { state, trick } = uploads(0);
    let lost = 0;
    const fake = await fakeRegistry(test, async (request, response, self) => {
      if (request.method !== 'PUT') return trick(request, response, self);
      for await (const _ of request);
      lost++;
      state.done = true;
      keep(self, content);
      response.socket!.destroy();
      return true;
    });
    await fake.repository().putBlob({ ...descriptor, digest: sha256(content) }, open);
    assert.deepEqual([lost, state.begun], [1, 1]);
  });

  it('are given up where the registry gives no address, or one without TLS', async (test) => {
    const put = (repository: ReturnType<Awaited<ReturnType<typeof fakeRegistry>>['repository']>) =>
      repository.putBlob(
        { mediaType: mediaTypes.layer, digest: `sha256:${'0'.repeat(64)}`, size: 1 },
        async function* () {},
      );
    const none = await fakeRegistry(test, status(202));
    await assert.rejects(put(none.repository()), { code: 'OCI_BAD_ANSWER' });
    const odd = await fakeRegistry(test, status(202, { location: 'ftp://x/y' }));
    await assert.rejects(put(odd.repository()), { code: 'OCI_BAD_ANSWER' });
  });
});
