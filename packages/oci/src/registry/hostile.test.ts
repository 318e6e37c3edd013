import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { blobSource, gather, mediaTypes, readManifest } from '../index.ts';
import { fakeRegistry, keep, type Trick } from '../testing/fake-registry.ts';
import { sha256 } from '../testing/images.ts';

const content = new Uint8Array(randomBytes(300_000));

/** A trick for the first `times` requests whose address has the word. */
function first(times: number, word: string, trick: Trick): Trick {
  let left = times;
  return async (request, response, fake) => {
    if (left === 0 || !request.url?.includes(word)) return false;
    left--;
    return await trick(request, response, fake);
  };
}

function status(code: number, headers: Record<string, string> = {}, body = ''): Trick {
  return (_request, response) => {
    response.writeHead(code, headers);
    response.end(body);
    return true;
  };
}

async function pull(test: TestContext, tricks: readonly Trick[], retries = 3, stall = 60_000) {
  const fake = await fakeRegistry(test, ...tricks);
  const digest = keep(fake, content);
  const descriptor = { mediaType: mediaTypes.layer, digest, size: content.length };
  const read = async () => {
    const repository = fake.repository({ retries, stall });
    return Buffer.from(await gather(repository.blob(descriptor), content.length + 1));
  };
  const source = blobSource(fake.repository({ retries, stall }), descriptor);
  return { fake, read, descriptor, source };
}

describe('a registry that fails for a while is asked again', () => {
  const cases: readonly (readonly [string, Trick])[] = [
    ['status 500', status(500)],
    ['status 503', status(503, { 'retry-after': '0' })],
    ['too many requests', status(429, { 'retry-after': new Date(0).toUTCString() })],
    ['a connection that ends at once', (request) => !!request.socket.destroy()],
    [
      'a body that breaks off',
      (_request, response) => {
        response.writeHead(200, { 'content-length': content.length });
        response.write(content.subarray(0, 100_000), () => response.destroy());
        return true;
      },
    ],
  ];
  for (const [what, trick] of cases) {
    it(`after ${what}`, async (test) => {
      const { read } = await pull(test, [first(2, '/blobs/', trick)]);
      assert.ok((await read()).equals(content));
    });
  }

  it('and goes on where it was, or at the beginning where it knows no ranges', async (test) => {
    const broken: Trick = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 100_000), () => response.destroy());
      return true;
    };
    const { fake, read } = await pull(test, [first(1, '/blobs/', broken)]);
    assert.ok((await read()).equals(content));
    assert.match(fake.headers[1]?.['range'] ?? '', /^bytes=[1-9]\d*-$/);
    const whole: Trick = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.end(content);
      return true;
    };
    const without = await pull(test, [first(1, '/blobs/', broken), first(9, '/blobs/', whole)]);
    assert.ok((await without.read()).equals(content));
  });

  it('and gives a range of a blob, also where it knows no ranges', async (test) => {
    const whole: Trick = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.end(content);
      return true;
    };
    for (const tricks of [[], [first(9, '/blobs/', whole)]]) {
      const { source, fake } = await pull(test, tricks);
      for (const [offset, length] of [
        [0, 10],
        [70_000, 65_537],
        [content.length - 1, 1],
      ] as const) {
        const bytes = await source.read(offset, length);
        assert.deepEqual(
          Buffer.from(bytes),
          Buffer.from(content.subarray(offset, offset + length)),
        );
      }
      assert.equal(fake.headers[0]?.['range'], 'bytes=0-9');
    }
    const broken: Trick = (_request, response) => {
      response.writeHead(206, { 'content-length': 5, 'content-range': 'bytes 5-9/300000' });
      response.write(content.subarray(5, 7), () => response.destroy());
      return true;
    };
    const { source, fake } = await pull(test, [first(1, '/blobs/', broken)]);
    assert.deepEqual(Buffer.from(await source.read(5, 5)), Buffer.from(content.subarray(5, 10)));
    assert.equal(fake.headers[1]?.['range'], 'bytes=7-9');
  });

  it('and not before the time that it names', async (test) => {
    const { fake, read } = await pull(test, [
      first(1, '/blobs/', status(429, { 'retry-after': '1' })),
    ]);
    const begun = performance.now();
    assert.ok((await read()).equals(content));
    // Timers of Node may be early by a millisecond.
    assert.ok(performance.now() - begun >= 999);
    assert.equal(fake.asked.length, 2);
  });

  it('but not for ever', async (test) => {
    const { fake, read } = await pull(test, [status(500)]);
    await assert.rejects(read(), { code: 'OCI_BAD_ANSWER' });
    assert.equal(fake.asked.length, 4);
    const silent = await pull(test, [() => true], 1, 2000);
    await assert.rejects(silent.read(), { code: 'OCI_UNREACHABLE' });
    assert.equal(silent.fake.asked.length, 2);
  });
});

describe('a registry that is refused', () => {
  const cases: readonly (readonly [string, Trick, string])[] = [
    ['for status 401', status(401), 'OCI_UNAUTHORIZED'],
    ['for status 403', status(403), 'OCI_FORBIDDEN'],
    ['for status 404', status(404), 'OCI_NOT_FOUND'],
    ['for status 418', status(418), 'OCI_BAD_ANSWER'],
    ['for a redirect in a circle', status(307, { location: '/v2/a/b/blobs/x' }), 'OCI_REDIRECT'],
    ['for a redirect to a file', status(307, { location: 'file:///etc/passwd' }), 'OCI_REDIRECT'],
    ['for a redirect to nonsense', status(302, { location: 'http://[' }), 'OCI_REDIRECT'],
    [
      'for a length that is not the promised',
      status(200, { 'content-length': '3' }, 'abc'),
      'OCI_WRONG_CONTENT',
    ],
    [
      'for a body that is short',
      status(200, { 'transfer-encoding': 'chunked' }, 'abc'),
      'OCI_WRONG_CONTENT',
    ],
    [
      'for a body without end',
      (_request, response) => {
        response.writeHead(200);
        const more = () => response.write(content, (error) => error ?? more());
        more();
        return true;
      },
      'OCI_WRONG_CONTENT',
    ],
    [
      'for another range',
      (request, response) => {
        response.writeHead(request.headers.range ? 206 : 200, {
          'content-length': content.length - 1,
          'content-range': 'bytes 7-9/10',
        });
        response.end(content.subarray(1));
        return true;
      },
      'OCI_WRONG_CONTENT',
    ],
  ];
  for (const [what, trick, code] of cases) {
    it(what, async (test) => {
      const { read } = await pull(test, [trick], 0);
      await assert.rejects(read(), { code });
    });
  }

  it('for a manifest of 100 MB, of another digest, or without end', async (test) => {
    const descriptor = {
      mediaType: mediaTypes.manifest,
      digest: `sha256:${'0'.repeat(64)}`,
      size: 9,
    };
    const large = await fakeRegistry(test, status(200, { 'content-length': '100000000' }));
    await assert.rejects(readManifest(large.repository(), descriptor), { code: 'OCI_TOO_LARGE' });
    await assert.rejects(readManifest(large.repository(), { ...descriptor, size: 1e8 }), {
      code: 'OCI_TOO_LARGE',
    });
    const other = await fakeRegistry(test, status(200, {}, '{"a":"b"}'));
    await assert.rejects(readManifest(other.repository(), descriptor), {
      code: 'OCI_WRONG_CONTENT',
    });
    const endless = await fakeRegistry(test, (_request, response) => {
      const more = () => response.write(content, (error) => error ?? more());
      more();
      return true;
    });
    await assert.rejects(readManifest(endless.repository(), descriptor), { code: 'OCI_TOO_LARGE' });
  });

  it('with what it said, but nothing that steers a terminal', async (test) => {
    const fake = await fakeRegistry(test);
    await assert.rejects(fake.repository().tags(), (error: Error) => {
      assert.match(error.message, /there is no \[31m such thing/);
      return true;
    });
  });
});

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
