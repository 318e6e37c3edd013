import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'node:test';
import { hostTree } from '@anole/host';
import { describeDifferences } from '@anole/vfs';
import {
  copyImage,
  type Descriptor,
  describe as descriptorOf,
  encodeManifest,
  mediaTypes,
  openImage,
  parseFullReference,
  parsePlatform,
} from '../index.ts';
import { blobsIn, umociImage } from '../testing/images.ts';
import { makeAuthority, startRegistry } from '../testing/registry.ts';
import { needs, run, temporary } from '../testing/tools.ts';
import {
  authFiles,
  findCredentials,
  forgetCredentials,
  ImageStore,
  imageTree,
  keepCredentials,
  LayoutDirectory,
  openReader,
  openWriter,
  parseLocation,
  Registries,
} from './index.ts';

const platform = parsePlatform('linux/amd64');

describe('registries', { skip: needs('docker-registry', 'skopeo', 'umoci', 'root') }, () => {
  it('take and give images, with skopeo and umoci on the other side', async (test) => {
    const directory = temporary(test);
    const host = await startRegistry(test);
    const layout = umociImage(directory);
    const theirs = `docker://${host}/by/skopeo:1`;
    run('skopeo', 'copy', '--dest-tls-verify=false', `oci:${layout}:made`, theirs);
    using registries = await Registries.load({ environment: {} });
    const store = new ImageStore(join(directory, 'store'));
    const surroundings = { registries, store };

    using from = await openReader(parseLocation(theirs), surroundings);
    const options = { selector: from.selector!, tag: 'x/y:1' };
    const pulled = await copyImage(from.reader, store, options);
    assert.equal((await store.resolve('x/y:1')).digest, pulled.descriptor.digest);
    assert.equal((await copyImage(from.reader, store, options)).copied, 0);

    const ours = `docker://${host}/by/us:2`;
    await using to = await openWriter(parseLocation(ours), surroundings);
    await copyImage(store, to.writer, { selector: 'x/y:1', tag: to.tag! });
    const copy = join(directory, 'copy');
    run('skopeo', 'copy', '--src-tls-verify=false', ours, `oci:${copy}:made`);
    const original = new Set(blobsIn(layout));
    assert.deepEqual(
      blobsIn(copy).filter((name) => !original.has(name)),
      [],
    );

    const reader = new LayoutDirectory(copy);
    const image = await openImage(reader, await reader.resolve('made'), platform);
    const tree = await imageTree(image, { scratch: directory });
    run('umoci', 'unpack', '--image', `${layout}:made`, join(directory, 'judge'));
    using judge = hostTree(join(directory, 'judge/rootfs'), { xattrs: true });
    assert.equal(await describeDifferences(tree, judge), '');
    await tree.close?.();
  });

  it('take over blobs from another repository, list tags and referrers, remove', async (test) => {
    const host = await startRegistry(test);
    using registries = await Registries.load({ environment: {} });
    const layout = new LayoutDirectory(umociImage(temporary(test)));
    const one = await registries.repository(parseFullReference(`${host}/a/one`));
    const two = await registries.repository(parseFullReference(`${host}/a/two`));
    const { descriptor } = await copyImage(layout, one, { selector: 'made', tag: 'v1' });
    await copyImage(one, two, { selector: 'v1', tag: 'v1' });
    await copyImage(one, two, { selector: 'v1', tag: 'v2' });
    assert.deepEqual((await two.tags()).toSorted(), ['v1', 'v2']);

    const note = await refer(two, descriptor, 'application/x-note');
    await refer(two, descriptor, 'application/x-other');
    const found = await two.referrers(descriptor, { artifactType: 'application/x-note' });
    assert.deepEqual(
      found.map(({ digest }) => digest),
      [note.digest],
    );
    assert.equal((await two.referrers(descriptor)).length, 2);

    await two.delete(descriptor.digest);
    await assert.rejects(two.resolve('v1'), { code: 'OCI_NOT_FOUND' });
    await assert.rejects(two.delete(descriptor.digest), { code: 'OCI_NOT_FOUND' });
  });

  async function refer(
    to: Awaited<ReturnType<Registries['repository']>>,
    subject: Descriptor,
    artifactType: string,
  ): Promise<Descriptor> {
    const empty = new TextEncoder().encode('{}');
    const config = await descriptorOf(mediaTypes.empty, empty);
    await to.putBlob(config, async function* () {
      yield empty;
    });
    const bytes = encodeManifest({
      kind: 'manifest',
      mediaType: mediaTypes.manifest,
      artifactType,
      config,
      layers: [config],
      subject,
    });
    const descriptor = await descriptorOf(mediaTypes.manifest, bytes);
    await to.putManifest(descriptor, bytes, undefined);
    return descriptor;
  }

  it('are shown logins, over TLS of a test authority', async (test) => {
    const directory = temporary(test);
    const authority = makeAuthority(join(directory));
    const host = await startRegistry(test, { login: true, tls: authority.server });
    const environment = { DOCKER_CONFIG: join(directory, 'docker') };
    const options = { environment, certificates: authority.trustDirectory, retries: 0 };
    using unknown = await Registries.load(options);
    await assert.rejects(unknown.greet(host), { code: 'OCI_UNAUTHORIZED' });
    const login = { username: 'somebody', password: 'secret' };
    await keepCredentials(host, { ...login, password: 'wrong' }, authFiles(environment));
    await assert.rejects(unknown.greet(host), { code: 'OCI_UNAUTHORIZED' });
    await keepCredentials(host, login, authFiles(environment));
    await unknown.greet(host);

    using distrustful = await Registries.load({ environment, retries: 0 });
    await assert.rejects(distrustful.greet(host), { code: 'OCI_UNREACHABLE' });

    // What we keep, skopeo can use.
    const layout = umociImage(directory);
    const copy = ['copy', `--dest-cert-dir=${authority.trustDirectory}`, `oci:${layout}:made`];
    const authfile = `--authfile=${authFiles(environment)[0]}`;
    run('skopeo', ...copy, authfile, `docker://${host}/a/b:1`);
    const repository = await unknown.repository(parseFullReference(`${host}/a/b`));
    await copyImage(repository, repository, { selector: '1', tag: '2' });
    assert.deepEqual((await repository.tags()).toSorted(), ['1', '2']);
  });

  it('are shown certificates where they want them', async (test) => {
    const authority = makeAuthority(temporary(test));
    const host = await startRegistry(test, { tls: { ...authority.server, clients: authority.ca } });
    const load = (certificates: string) =>
      Registries.load({ environment: {}, certificates, retries: 0 });
    using nobody = await load(authority.trustDirectory);
    await assert.rejects(nobody.greet(host), { code: 'OCI_UNREACHABLE' });
    using somebody = await load(authority.clientDirectory);
    await somebody.greet(host);
    // By the place that containers-certs.d(5) names.
    const home = temporary(test);
    mkdirSync(join(home, '.config/containers/certs.d'), { recursive: true });
    run('cp', '-r', authority.clientDirectory, join(home, '.config/containers/certs.d', host));
    using placed = await Registries.load({ environment: { HOME: home }, retries: 0 });
    await placed.greet(host);
  });

  it('are replaced by their mirrors, and replace them', async (test) => {
    const directory = temporary(test);
    const mirror = await startRegistry(test);
    const file = join(directory, 'registries.conf');
    writeFileSync(
      file,
      `[[registry]]
prefix = "far.example/team"
location = "${mirror}/there"
[[registry.mirror]]
location = "localhost:1/absent"
[[registry.mirror]]
location = "${mirror}/near"`,
    );
    using registries = await Registries.load({
      environment: { CONTAINERS_REGISTRIES_CONF: file },
      retries: 0,
    });
    const layout = new LayoutDirectory(umociImage(directory));
    const near = await registries.repository(parseFullReference(`${mirror}/near/web`));
    const there = await registries.repository(parseFullReference(`${mirror}/there/web`));
    await copyImage(layout, near, { selector: 'made', tag: '1' });
    await copyImage(layout, there, { selector: 'made', tag: '2' });
    const store = new ImageStore(join(directory, 'store'));
    const reader = await registries.reader(parseFullReference('far.example/team/web'));
    for (const tag of ['1', '2']) {
      await copyImage(reader, store, { selector: tag, tag: `far.example/team/web:${tag}` });
    }
    await assert.rejects(reader.resolve('3'), { code: 'OCI_NOT_FOUND' });
  });
});

describe('logins', () => {
  it('are those of docker and podman, by file and by helper', async (test) => {
    const directory = temporary(test);
    const helper = join(directory, 'docker-credential-test');
    writeFileSync(
      helper,
      `#!/bin/sh
read server
case "$1 $server" in
  "get helped.example") echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}' ;;
  "get broken.example") echo 'no keyring' >&1; exit 1 ;;
  get*) echo 'credentials not found in native keychain'; exit 1 ;;
esac`,
      { mode: 0o755 },
    );
    const before = process.env['PATH'];
    process.env['PATH'] = `${directory}${delimiter}${before}`;
    test.after(() => {
      process.env['PATH'] = before;
    });
    const file = join(directory, 'config.json');
    const auth = Buffer.from('me:a:b').toString('base64');
    const config = {
      auths: {
        'https://old.example/v1/': { auth },
        'token.example': { identitytoken: 'i' },
        'plain.example:5000': { auth },
      },
      credHelpers: { 'helped.example': 'test', 'broken.example': 'test', 'evil.example': '../x' },
      credsStore: 'test',
      other: { kept: true },
    };
    writeFileSync(file, JSON.stringify(config));
    const find = (host: string) => findCredentials(host, [join(directory, 'absent'), file]);
    assert.deepEqual(await find('old.example'), { username: 'me', password: 'a:b' });
    assert.deepEqual(await find('plain.example:5000'), { username: 'me', password: 'a:b' });
    assert.deepEqual(await find('token.example'), { identityToken: 'i' });
    assert.deepEqual(await find('helped.example'), { identityToken: 't' });
    assert.equal(await find('nobody.example'), undefined);
    await assert.rejects(find('broken.example'), { code: 'OCI_CREDENTIALS' });
    await assert.rejects(find('evil.example'), { code: 'OCI_CREDENTIALS' });

    const plain = join(directory, 'plain.json');
    writeFileSync(plain, JSON.stringify({ other: 1 }));
    await keepCredentials('h.example', { username: 'u', password: 'p' }, [plain]);
    assert.equal(statSync(plain).mode & 0o777, 0o600);
    assert.equal(JSON.parse(readFileSync(plain, 'utf8')).other, 1);
    assert.deepEqual(await findCredentials('h.example', [plain]), { username: 'u', password: 'p' });
    assert.deepEqual(await forgetCredentials('h.example', [plain]), [plain]);
    assert.equal(await findCredentials('h.example', [plain]), undefined);
    writeFileSync(plain, '{');
    await assert.rejects(findCredentials('h.example', [plain]), { code: 'OCI_BAD_CONFIGURATION' });
  });
});
