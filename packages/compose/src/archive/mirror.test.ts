import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { AptConfiguration } from './apt-configuration.ts';
import { parseSourcesList } from './apt-sources.ts';
import { makeArchive, requestFor, scratchDirectory, serve } from './archive.fixture.ts';
import { findMirrors, mirrorsFor } from './mirror.ts';
import { openArchive } from './open.ts';

/** A machine's root directory with these files. */
function machine(context: TestContext, files: Readonly<Record<string, string>>): string {
  const root = scratchDirectory(context);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

async function found(root: string, suite = 'trixie', environment = {}, mirror?: string) {
  const request = { root, environment, ...(mirror === undefined ? {} : { mirror }) };
  return mirrorsFor(await findMirrors(request), suite);
}

async function uris(...args: Parameters<typeof found>): Promise<(readonly string[])[]> {
  return (await found(...args)).map((mirror) => mirror.uris);
}

const oneLine = `
# deb http://commented.example/debian trixie main
deb-src http://source.example/debian trixie main
deb [ arch=riscv64 signed-by=/keys/a.gpg check-valid-until=no ] http://a.example/debian bookworm main contrib # here
deb http://s.example/debian-security bookworm-security main
`;

const deb822 = `Types: deb deb-src
URIs: http://b.example/debian/ http://c.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: trixie
Components: main
`;

test('mirrors are found in one-line sources, whatever their suite', async (context) => {
  const root = machine(context, { 'etc/apt/sources.list': oneLine });
  const [mirror, ...others] = await found(root);
  assert.deepEqual(others, []);
  assert.deepEqual(mirror, {
    uris: ['http://a.example/debian/'],
    signedBy: '/keys/a.gpg',
    checkValidUntil: false,
    checkDate: true,
    guessed: false,
  });
});

test('mirrors are found in deb822 sources, with several URIs and keys in place', async (context) => {
  const root = machine(context, { 'etc/apt/sources.list.d/debian.sources': deb822 });
  const [mirror, ...others] = await found(root);
  assert.deepEqual(others, []);
  assert.deepEqual(mirror!.uris, ['http://b.example/debian/', 'http://c.example/debian/']);
  assert.match(mirror!.signedBy!, /^-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END/);
});

test("sources of others are passed over, and Debian's own come first", async (context) => {
  const others = [
    'deb http://node.example/node_20.x nodistro main',
    'deb http://docker.example/linux/debian trixie stable',
    'deb cdrom:[Debian]/ trixie main',
    'deb http://apt.example/packages stable main',
  ].join('\n');
  const root = machine(context, {
    'etc/apt/sources.list.d/a-others.list': others,
    'etc/apt/sources.list.d/broken.sources': 'no stanza',
    'etc/apt/sources.list.d/debian.sources': deb822,
    'etc/apt/sources.list.d/ignored.bak': oneLine,
  });
  assert.deepEqual((await uris(root)).flat(), [
    'http://b.example/debian/',
    'http://c.example/debian/',
    'http://apt.example/packages/',
  ]);
});

test('security updates come from the source that has them, or from beside the mirror', async (context) => {
  const root = machine(context, { 'etc/apt/sources.list': oneLine });
  const security = await found(root, 'trixie-security');
  assert.deepEqual(
    security.map(({ uris: [uri], guessed }) => [uri, guessed]),
    [
      ['http://s.example/debian-security/', false],
      ['http://a.example/debian-security/', true],
    ],
  );
});

test("a mirror that is given goes before apt's sources, and the option before the variable", async (context) => {
  const root = machine(context, { 'etc/apt/sources.list': oneLine });
  const environment = { ANOLE_DEBIAN_MIRROR: 'http://e.example/debian http://f.example/debian/' };
  assert.deepEqual(await uris(root, 'trixie', environment), [
    ['http://e.example/debian/', 'http://f.example/debian/'],
  ]);
  const given = await uris(root, 'trixie', environment, 'file:///srv/debian');
  assert.deepEqual(given, [['file:///srv/debian/']]);
  for (const bad of ['mirror.example/debian', 'ftp://mirror.example/debian']) {
    await assert.rejects(found(root, 'trixie', {}, bad), { code: 'ARCHIVE_BAD_MIRROR' });
  }
});

test('without any mirror the error says what was read and what to do', async (context) => {
  const root = machine(context, { 'etc/apt/sources.list': '# empty\n' });
  await assert.rejects(found(root), {
    code: 'ARCHIVE_NO_MIRROR',
    message: 'Cannot find a Debian mirror for trixie',
    hint:
      "Give the base URI of a Debian archive with --mirror or ANOLE_DEBIAN_MIRROR. apt's " +
      `configuration names none (read: ${root}/etc/apt/sources.list).`,
  });
  await assert.rejects(found(scratchDirectory(context)), /^ArchiveError: Cannot find a Debian/);
});

const aptConf = `
// a comment with "quotes"
Acquire { Check-Valid-Until "false"; /* a
comment */ http::Proxy "http://proxy.example:3128//"; };
Acquire::http { Proxy::local.example "DIRECT"; }; # end
#clear Acquire::https;
Acquire::Check-Date "no";
Unfinished { "`;

test("apt's configuration is followed about dates and proxies", async (context) => {
  const root = machine(context, {
    'etc/apt/apt.conf.d/10a': aptConf,
    'etc/apt/apt.conf.d/ignored.bak': 'Acquire::Check-Date "yes";',
    'etc/apt/apt.conf': 'Acquire::Max-FutureTime "99";',
    'etc/apt/sources.list': 'deb http://a.example/debian trixie main\n',
  });
  const mirrors = await findMirrors({ root, environment: {} });
  const [mirror] = mirrorsFor(mirrors, 'trixie');
  assert.equal(mirror!.checkValidUntil, false);
  assert.equal(mirror!.checkDate, false);
  const { configuration } = mirrors;
  assert.equal(configuration.get('acquire::HTTP::proxy'), 'http://proxy.example:3128//');
  assert.equal(configuration.get('Acquire::Max-FutureTime'), '99');
  assert.deepEqual([...configuration.below('Acquire::http::Proxy')], [['local.example', 'DIRECT']]);
});

test("a release that has expired is used where apt's configuration allows it", async (context) => {
  const release = { 'Valid-Until': 'Thu, 01 Jan 2026 00:00:00 UTC' };
  const mirror = await serve(context, await makeArchive({ packages: [{ name: 'a' }], release }));
  const request = await requestFor(context, mirror);
  await assert.rejects(openArchive(request), { code: 'ARCHIVE_EXPIRED_RELEASE' });
  writeFileSync(join(request.root!, 'etc/apt/apt.conf'), 'Acquire::Check-Valid-Until "false";');
  assert.equal((await openArchive(request)).packages.size, 1);
});

test('mirrors that a list names are used, the first that serves', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages: [{ name: 'a' }] }));
  const { mirror: _given, ...request } = await requestFor(context, mirror);
  const list = `# mirrors\nhttp://127.0.0.1:9/debian\tpriority:1\n${mirror.uri}\n`;
  const path = join(request.root!, 'mirrors.txt');
  writeFileSync(path, list);
  const source = `deb mirror+file:${path} trixie main\n`;
  writeFileSync(join(request.root!, 'etc/apt/sources.list'), source);
  const archive = await openArchive(request);
  assert.equal(archive.releases[0]!.uri, mirror.uri);
});

test('the proxy of apt is used', async (context) => {
  const proxy = await serve(context, await makeArchive({ packages: [{ name: 'a' }] }));
  const { origin } = new URL(proxy.uri);
  const request = await requestFor(context, { uri: 'http://mirror.invalid/debian/' });
  writeFileSync(join(request.root!, 'etc/apt/apt.conf'), `Acquire::http::Proxy "${origin}";`);
  const archive = await openArchive(request);
  assert.equal(archive.packages.size, 1);
  assert.equal(proxy.requests[0], 'dists/trixie/InRelease');
});

test('any text of apt is read or passed over', () => {
  const part = fc.constantFrom(
    'deb',
    ' ',
    '[',
    ']',
    'a=b',
    'http://h/',
    '"',
    '{',
    '}',
    ';',
    '//',
    '/*',
    '\n',
    '#',
    'A::B',
  );
  const property = fc.property(fc.array(part), (parts) => {
    const text = parts.join('');
    new AptConfiguration().add(text);
    for (const { uris, suites } of parseSourcesList(text, 'file')) {
      assert.ok(uris.length === 1 && suites.length === 1);
    }
  });
  fc.assert(property, { seed: 7, numRuns: 500 });
});
