import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError } from '../src/errors.ts';
import { type HttpSourceOptions, httpSource } from '../src/http/http-source.ts';
import { RangeServer } from './range-server.ts';

const file = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7 + (at >> 8)) & 0xff);

async function serving(bytes = file) {
  const server = new RangeServer(bytes);
  return { server, url: await server.listen() };
}

function code(expected: string, details: Readonly<Record<string, unknown>> = {}) {
  return (error: unknown) => {
    assert.ok(AnoleError.is(error), String(error));
    assert.equal(error.code, expected);
    for (const [name, value] of Object.entries(details)) assert.equal(error.details[name], value);
    return true;
  };
}

test('a file is read by ranges, and what was read is there at once', async () => {
  const { server, url } = await serving();
  await using _server = server;
  await using source = await httpSource(url);
  assert.equal(source.size, file.length);
  assert.equal(server.asked.length, 1);
  assert.deepEqual(await source.read(100_000, 5000), file.subarray(100_000, 105_000));
  assert.deepEqual(await source.read(299_990, 10), file.subarray(299_990));
  const again = source.read(100_100, 3000);
  assert.ok(again instanceof Uint8Array);
  assert.deepEqual(again, file.subarray(100_100, 103_100));
  assert.equal(server.asked.length, 3);
  assert.equal(server.asked[1]?.headers['if-range'], '"one"');
});

test('reads at the same time become few requests', async () => {
  const { server, url } = await serving();
  await using _server = server;
  await using source = await httpSource(url);
  const places = [20_000, 21_000, 30_000, 20_500, 200_000];
  const parts = await Promise.all(places.map((at) => source.read(at, 600)));
  for (const [index, at] of places.entries()) {
    assert.deepEqual(parts[index], file.subarray(at, at + 600));
  }
  assert.equal(server.asked.length, 3);
});

test('who reads on is read ahead of, who does not is not', async () => {
  const { server, url } = await serving();
  await using _server = server;
  await using jumping = await httpSource(url, { readAhead: 65_536 });
  for (const at of [200_000, 100_000, 150_000]) await jumping.read(at, 10);
  assert.equal(server.sent, 8192 + 3 * 4096);
  server.asked.length = 0;
  await using source = await httpSource(url, { readAhead: 65_536 });
  for (let at = 0; at < file.length; at += 1000) {
    const length = Math.min(1000, file.length - at);
    assert.deepEqual(await source.read(at, length), file.subarray(at, at + length));
  }
  assert.ok(server.asked.length < 25, `${server.asked.length} requests`);
});

test('the cache is bounded', async () => {
  const { server, url } = await serving();
  await using _server = server;
  await using source = await httpSource(url, { cacheSize: 16_384 });
  for (const at of [50_000, 100_000, 150_000, 200_000, 250_000]) await source.read(at, 10);
  const before = server.asked.length;
  await source.read(250_000, 10);
  assert.equal(server.asked.length, before);
  await source.read(50_000, 10);
  assert.equal(server.asked.length, before + 1);
});

test('an empty file has no bytes', async () => {
  const { server, url } = await serving(new Uint8Array(0));
  await using _server = server;
  await using source = await httpSource(url);
  assert.equal(source.size, 0);
  assert.deepEqual(await source.read(0, 0), new Uint8Array(0));
});

test('a server that gives all or nothing is refused with what to do', async () => {
  const { server, url } = await serving();
  await using _server = server;
  server.before = (_, response) => {
    response.writeHead(200, { 'content-length': file.length });
    response.end(file);
    return true;
  };
  await assert.rejects(httpSource(url), (error: AnoleError) => {
    assert.match(error.hint ?? '', /download the file/);
    return code('HTTP_NO_RANGES')(error);
  });
});

test('a file that changes is not mixed with what it was', async () => {
  for (const change of ['etag', 'size', 'time'] as const) {
    const { server, url } = await serving();
    await using _server = server;
    if (change !== 'etag') server.etag = undefined;
    server.headers = { 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' };
    await using source = await httpSource(url);
    await source.read(100_000, 10);
    if (change === 'etag') server.etag = '"two"';
    else if (change === 'size') server.file = file.subarray(0, 250_000);
    else server.headers = { 'last-modified': 'Fri, 02 Jan 2026 00:00:00 GMT' };
    await assert.rejects(async () => source.read(200_000, 10), code('HTTP_CHANGED'));
  }
});

const misbehaviour: readonly [string, string, Readonly<Record<string, string>>][] = [
  ['another range', 'HTTP_BAD_ANSWER', { 'content-range': 'bytes 5-9/300000' }],
  ['no range', 'HTTP_BAD_ANSWER', { 'content-range': 'all of it' }],
  ['an absurd size', 'HTTP_BAD_ANSWER', { 'content-range': `bytes 0-8191/${2n ** 60n}` }],
  ['an encoding', 'HTTP_BAD_ANSWER', { 'content-encoding': 'gzip' }],
];

for (const [what, expected, headers] of misbehaviour) {
  test(`an answer with ${what} is refused`, async () => {
    const { server, url } = await serving();
    await using _server = server;
    server.headers = headers;
    await assert.rejects(httpSource(url), code(expected));
  });
}

test('more bytes than were asked for are refused', async () => {
  const { server, url } = await serving();
  await using _server = server;
  server.before = (_, response) => {
    response.writeHead(206, { 'content-range': `bytes 0-8191/${file.length}` });
    response.end(file);
    return true;
  };
  await assert.rejects(httpSource(url), code('HTTP_BAD_ANSWER'));
});

test('what breaks off goes on where it was', async () => {
  const { server, url } = await serving();
  await using _server = server;
  await using source = await httpSource(url);
  server.before = (_, response, count) => {
    if (count % 3 === 0) return false;
    const { start } = server.asked.at(-1)!;
    response.writeHead(206, {
      'content-range': `bytes ${start}-${file.length - 1}/${file.length}`,
      etag: '"one"',
    });
    response.write(file.subarray(start, start + 10_000), () => response.destroy());
    return true;
  };
  assert.deepEqual(await source.read(10_000, 200_000), file.subarray(10_000, 210_000));
  const starts = server.asked.slice(1).map(({ start }) => start);
  assert.ok(starts.length >= 2 && starts[1]! > starts[0]!);
});

test('a server that is busy is asked again, one that says no is not', async () => {
  const { server, url } = await serving();
  await using _server = server;
  server.before = (_, response, count) => {
    if (count > 2) return false;
    response.writeHead(503, { 'retry-after': '0' }).end();
    return true;
  };
  await using source = await httpSource(url);
  assert.equal(source.size, file.length);
  assert.equal(server.asked.length, 3);
  server.before = (_, response) => {
    response.writeHead(404).end();
    return true;
  };
  await assert.rejects(httpSource(url), code('HTTP_STATUS', { status: 404 }));
  assert.equal(server.asked.length, 4);
});

test('a server that says nothing is given up', async () => {
  const { server, url } = await serving();
  await using _server = server;
  server.before = () => true;
  // Counted here: on a busy computer an attempt may be over before the server has heard of it.
  let asked = 0;
  const counted: typeof fetch = (...request) => {
    asked++;
    return fetch(...request);
  };
  const options: HttpSourceOptions = { timeout: 50, attempts: 2, fetch: counted };
  await assert.rejects(httpSource(url, options), code('HTTP_UNREACHABLE'));
  assert.equal(asked, 2);
});

test('redirections are followed once, without what is secret', async () => {
  const { server, url } = await serving();
  await using _server = server;
  const { server: other, url: away } = await serving();
  await using _other = other;
  server.before = (_, response) => {
    response.writeHead(302, { location: away }).end();
    return true;
  };
  await using source = await httpSource(url, { headers: { authorization: 'Bearer secret' } });
  await source.read(100_000, 10);
  assert.deepEqual([server.asked.length, other.asked.length], [1, 2]);
  assert.equal(server.asked[0]?.headers.authorization, 'Bearer secret');
  assert.ok(other.asked.every(({ headers }) => headers.authorization === undefined));
  // A link that has expired is fetched anew.
  other.before = (_, response, count) => {
    if (count !== 3) return false;
    response.writeHead(403).end();
    return true;
  };
  assert.deepEqual(await source.read(200_000, 10), file.subarray(200_000, 200_010));
  assert.deepEqual([server.asked.length, other.asked.length], [2, 4]);
});

test('signals end what is under way, for one read or for all', async () => {
  const { server, url } = await serving();
  await using _server = server;
  const all = new AbortController();
  await using source = await httpSource(url, { signal: all.signal });
  server.before = () => true;
  const one = new AbortController();
  const first = source.read(100_000, 10, { signal: one.signal });
  const second = source.read(150_000, 10);
  one.abort(new Error('enough of one'));
  await assert.rejects(async () => first, /enough of one/);
  all.abort(new Error('enough of all'));
  await assert.rejects(async () => second, /enough of all/);
  await assert.rejects(async () => source.read(160_000, 10), /enough of all/);
});

test('a closed source reads no more', async () => {
  const { server, url } = await serving();
  await using _server = server;
  const source = await httpSource(url);
  await source.close?.();
  await assert.rejects(async () => source.read(100_000, 10), code('HTTP_CLOSED'));
});

test('messages do not show what may be secret of a URL', async () => {
  const { server, url } = await serving();
  await using _server = server;
  server.before = (_, response) => {
    response.writeHead(403).end();
    return true;
  };
  await assert.rejects(httpSource(`${url}?token=secret`), (error: AnoleError) => {
    assert.doesNotMatch(JSON.stringify([error.message, error.details]), /secret/);
    return true;
  });
});
