import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { gather, mediaTypes } from '../index.ts';
import { fakeRegistry, first, keep, status, type Trick } from '../testing/fake-registry.ts';

const content = new Uint8Array(randomBytes(300_000));

describe('logins', () => {
  const login = ['somebody', 'secret'] as const;
  const wants = (challenge: string, accepted: string): Trick => {
    return (request, response, fake) => {
      if (request.url?.startsWith('/token')) return false;
      if (request.headers.authorization === accepted) return false;
      const header = challenge.replace('HERE', fake.url.origin);
      response.writeHead(401, { 'www-authenticate': header });
      response.end();
      return true;
    };
  };
  const basic = `Basic ${Buffer.from('somebody:secret').toString('base64')}`;

  it('by name and password are asked for, once', async (test) => {
    const fake = await fakeRegistry(test, wants('Basic realm="x"', basic));
    const digest = keep(fake, content);
    const repository = fake.repository({ login });
    for (let time = 0; time < 2; time++) {
      assert.ok(await repository.has({ mediaType: mediaTypes.layer, digest, size: 1 }));
    }
    assert.equal(fake.asked.length, 3);
    await assert.rejects(fake.repository().has({ mediaType: '', digest, size: 1 }), {
      code: 'OCI_UNAUTHORIZED',
      hint: `anole image login ${fake.url.host}`,
    });
  });

  it('by tokens are renewed when the old one is refused', async (test) => {
    let tokens = 0;
    let accepted = '';
    const issue: Trick = (request, response) => {
      if (!request.url?.startsWith('/token')) return false;
      assert.equal(request.headers.authorization, basic);
      const asked = new URL(request.url, 'http://x').searchParams;
      assert.equal(asked.get('scope'), 'repository:a/b:pull');
      assert.equal(asked.get('service'), 'here');
      accepted = `token-${++tokens}`;
      response.end(JSON.stringify({ token: accepted, expires_in: 300 }));
      return true;
    };
    const check: Trick = (request, response, fake) => {
      if (accepted !== '' && request.headers.authorization === `Bearer ${accepted}`) return false;
      const realm = `realm="${fake.url.origin}/token",service="here"`;
      response.writeHead(401, { 'www-authenticate': `Bearer ${realm}` });
      response.end();
      return true;
    };
    const fake = await fakeRegistry(test, issue, check);
    const digest = keep(fake, content);
    const repository = fake.repository({ login });
    const descriptor = { mediaType: mediaTypes.layer, digest, size: 1 };
    assert.ok(await repository.has(descriptor));
    accepted = 'another one';
    const both = await Promise.all([repository.has(descriptor), repository.has(descriptor)]);
    assert.deepEqual(both, [true, true]);
    // One renewal for both that were refused.
    assert.equal(tokens, 2);
  });

  it('are refused where the token server is none, refuses, or sends no token', async (test) => {
    const bearer = (realm: string) => wants(`Bearer realm="${realm}"`, 'never');
    const at = async (challenge: Trick, ...others: Trick[]) => {
      const fake = await fakeRegistry(test, ...others, challenge);
      return fake.repository({ login, retries: 0 }).resolve('1');
    };
    const token = (trick: Trick): Trick => first(9, '/token', trick);
    await assert.rejects(at(bearer('')), { code: 'OCI_BAD_ANSWER' });
    await assert.rejects(at(bearer('file:///etc/passwd')), { code: 'OCI_BAD_ANSWER' });
    await assert.rejects(at(bearer('HERE/token'), token(status(401))), {
      code: 'OCI_UNAUTHORIZED',
    });
    await assert.rejects(at(bearer('HERE/token'), token(status(200, {}, '{}'))), {
      code: 'OCI_BAD_ANSWER',
    });
    await assert.rejects(at(bearer('HERE/token'), token(status(200, {}, '{"token":"a\\r\\nb"}'))), {
      code: 'OCI_BAD_ANSWER',
    });
  });

  it('stay with the registry when it redirects elsewhere', async (test) => {
    const elsewhere = await fakeRegistry(test);
    const digest = keep(elsewhere, content);
    const fake = await fakeRegistry(test, wants('Basic realm="x"', basic), (_request, response) => {
      const location = new URL(`/signed/${digest}?key=1`, elsewhere.url).href;
      response.writeHead(307, { location });
      response.end();
      return true;
    });
    const repository = fake.repository({ login });
    const descriptor = { mediaType: mediaTypes.layer, digest, size: content.length };
    const bytes = await gather(repository.blob(descriptor), content.length);
    assert.ok(Buffer.from(bytes).equals(content));
    assert.equal(fake.headers.at(-1)?.['authorization'], basic);
    assert.deepEqual(
      elsewhere.headers.map(({ authorization }) => authorization),
      [undefined],
    );
  });
});
