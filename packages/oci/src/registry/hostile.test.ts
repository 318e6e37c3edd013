import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { blobSource, gather, mediaTypes, readManifest } from '../index.ts';
import { fakeRegistry, first, keep, status, type Trick } from '../testing/fake-registry.ts';

const content = new Uint8Array(randomBytes(300_000));

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
