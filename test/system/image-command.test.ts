import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { hostTree } from '@anole/host';
import { describeDifferences } from '@anole/vfs';
import { umociImage } from '../../packages/oci/src/testing/images.ts';
import { makeAuthority, startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs, run, temporary } from '../../packages/oci/src/testing/tools.ts';
import { anoleIn, succeed } from './anole-image.ts';

const skip = needs('docker-registry', 'umoci', 'skopeo', 'openssl', 'root');

describe('anole image', { skip }, () => {
  let made: string;
  let clean = () => {};
  before(() => {
    made = umociImage(temporary({ after: (work) => (clean = work) }));
  });
  after(() => clean());

  it('logs in, pulls, lists, describes, unpacks, pushes, removes and frees', async (test) => {
    const directory = temporary(test);
    const anole = anoleIn(directory);
    const authority = makeAuthority(join(directory, 'authority'));
    const host = await startRegistry(test, { login: true, tls: authority.server });
    const trust = ['--cert-dir', authority.trustDirectory];
    const name = `${host}/team/web:1`;

    const refused = anole(['copy', `oci:${made}:made`, `docker://${name}`, ...trust]);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, new RegExp(`next: anole image login ${host}`));
    const login = ['login', host, '-u', 'somebody', '--password-stdin', ...trust];
    assert.match(anole(login, 'wrong').stderr, /code: OCI_UNAUTHORIZED/);
    assert.match(succeed(anole(login, 'secret\n')), /^logged in to localhost:\d+ as somebody\n$/);
    succeed(anole(['copy', `oci:${made}:made`, `docker://${name}`, ...trust]));

    const pulled = JSON.parse(succeed(anole(['pull', name, ...trust, '--json'])));
    assert.equal(pulled.name, name);
    assert.match(pulled.digest, /^sha256:/);
    assert.deepEqual(
      JSON.parse(succeed(anole(['ls', '--json']))).map(({ name: each }: { name: string }) => each),
      [name],
    );
    const facts = JSON.parse(succeed(anole(['inspect', name, '--json'])));
    assert.equal(facts.digest, pulled.digest);
    assert.deepEqual(facts.image.cmd, ['/bin/cat']);
    assert.equal(facts.image.workingDirectory, '/srv');
    assert.ok(facts.image.env.includes('GREETING=hello'));
    assert.match(succeed(anole(['inspect', name])), /env +GREETING=hello\n/);
    const raw = succeed(anole(['inspect', `docker://${name}`, '--raw', ...trust]));
    assert.equal(JSON.parse(raw).schemaVersion, 2);

    succeed(anole(['unpack', name, 'ours']));
    run('umoci', 'unpack', '--image', `${made}:made`, join(directory, 'bundle'));
    using ours = hostTree(join(directory, 'ours'), { xattrs: true });
    using theirs = hostTree(join(directory, 'bundle/rootfs'), { xattrs: true });
    assert.equal(await describeDifferences(ours, theirs, { times: 'microseconds' }), '');

    succeed(anole(['push', name, `${host}/team/other:2`, ...trust]));
    assert.equal(succeed(anole(['tags', `${host}/team/other`, ...trust])), '2\n');
    assert.match(anole(['pull', `${host}/team/none`, ...trust]).stderr, /code: OCI_NOT_FOUND/);

    assert.equal(succeed(anole(['rm', name])), `${name}\n`);
    assert.match(succeed(anole(['gc', '-n'])), /would be freed/);
    assert.match(succeed(anole(['gc'])), /^\d+ removed, .* freed, 0 kept\n$/);
    assert.match(anole(['inspect', name]).stderr, /next: anole image pull/);
    assert.match(succeed(anole(['logout', host])), /logged out/);
    assert.match(anole(['pull', name, ...trust]).stderr, /code: OCI_UNAUTHORIZED/);
  });

  it('says what to do for names without registry and places that are none', (test) => {
    const directory = temporary(test);
    const anole = anoleIn(directory);
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['pull', 'web'], /Cannot use the name web: .*\n +next: Write HOST\/web, or set/],
      [['pull', 'Web'], /names of images are in lower case/],
      [['inspect', 'oci:none'], /That is no OCI layout/],
      [['copy', 'oci:none', 'oci:'], /a part is empty/],
      [['rm', 'localhost/none'], /anole image ls/],
      [['login', 'h.example'], /--password-stdin/],
    ];
    for (const [args, expected] of cases) {
      const { status, stderr } = anole(args);
      assert.notEqual(status, 0);
      assert.match(stderr, expected);
    }
    assert.ok(!existsSync(join(directory, 'oci')));
    assert.deepEqual(readdirSync(directory), ['cache']);
  });

  it('makes archives that skopeo reads, and reads those of skopeo', (test) => {
    const directory = temporary(test);
    const anole = anoleIn(directory);
    succeed(anole(['copy', `oci:${made}:made`, 'docker-archive:saved.tar:web:1']));
    run('skopeo', 'copy', `docker-archive:${directory}/saved.tar`, `oci:${directory}/theirs:v`);
    succeed(anole(['copy', 'oci:theirs:v', 'localhost/web:dev']));
    const listed = succeed(anole(['ls']));
    assert.match(listed, /^NAME +DIGEST +PLATFORMS +SIZE\nlocalhost\/web:dev +[0-9a-f]{12} /);
  });
});
