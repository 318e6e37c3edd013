import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { needs, run, temporary } from '../../packages/oci/src/testing/tools.ts';
import { anoleProgram } from './anole-program.ts';

const skip = needs('umoci', 'skopeo', 'buildah', 'root');

/** anole, with a daemon of its own that ends with the test. */
function anoleIn(test: TestContext) {
  const runtime = mkdtempSync(join(tmpdir(), 'anole-commit-'));
  chmodSync(runtime, 0o700);
  const env = { ...process.env, XDG_RUNTIME_DIR: runtime, ANOLE_DAEMON_IDLE: '1s' };
  const anole = (...args: string[]) => {
    const argv = [anoleProgram, ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { env, cwd: runtime });
    assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
    return stdout.toString();
  };
  test.after(async () => {
    anole('kill', '--all');
    while (existsSync(join(runtime, 'anole/daemon.sock'))) await delay(50);
    rmSync(runtime, { recursive: true });
  });
  return anole;
}

const changes = `set -e
echo hello > /srv/hello; chown 1000:50 /srv/hello
rm /etc/os-release
rm -r /usr/share/terminfo || rm -r /usr/share/misc; mkdir -p /opt/made
ln /srv/hello /opt/made/linked; ln -s hello /srv/link
rm -r /var/spool; mkdir /var/spool; echo new > /var/spool/new
chmod 2755 /opt`;

describe('anole image commit', { skip }, () => {
  it('makes an image of what a sandbox changed, which others read and we run', (test) => {
    const directory = temporary(test);
    const at = (name: string) => join(directory, name);
    const anole = anoleIn(test);
    anole('os', 'build', 'base', '--format', 'oci', '-o', at('base'));
    anole('run', '-d', '--name', 'box', `oci:${at('base')}`, '--', 'sleep', '1d');
    anole('exec', 'box', 'sh', '-c', changes);
    const words = '["/bin/cat","/srv/hello"]';
    const made = anole('image', 'commit', 'box', `oci:${at('made')}:1`, '--cmd', words, '--json');
    const { digest, layer } = JSON.parse(made);
    // It goes on.
    assert.equal(anole('exec', 'box', 'cat', '/opt/made/linked'), 'hello\n');

    const members = run('tar', '-tzf', join(at('made'), 'blobs/sha256', layer.slice(7))).split(
      '\n',
    );
    for (const name of ['srv/hello', 'etc/.wh.os-release', 'var/spool/.wh..wh..opq', 'opt/made/']) {
      assert.ok(members.includes(name), `${name} in ${members.join(' ')}`);
    }
    assert.ok(!members.some((name) => /^(?:proc|sys|dev|\.?\/?$)/.test(name) && name !== ''));

    run('umoci', 'unpack', '--image', `${at('made')}:1`, at('bundle'));
    const file = (name: string) => join(at('bundle/rootfs'), name);
    assert.equal(readFileSync(file('srv/link'), 'utf8'), 'hello\n');
    const { uid, gid, nlink } = statSync(file('srv/hello'));
    assert.deepEqual([uid, gid, nlink], [1000, 50, 2]);
    assert.ok(!existsSync(file('etc/os-release')));
    assert.equal(run('ls', file('var/spool')), 'new\n');
    assert.equal(statSync(file('opt')).mode & 0o7777, 0o2755);

    const seen = JSON.parse(
      run('skopeo', 'inspect', '--override-arch', 'riscv64', `oci:${at('made')}:1`),
    );
    assert.equal(seen.Digest, digest);
    assert.equal(seen.Layers.length, 2);
    const storage = ['--root', at('storage'), '--runroot', at('run'), '--storage-driver', 'vfs'];
    // What it calls the image may have no capitals.
    const pull = ['buildah', ...storage, 'pull', '--arch', 'riscv64', 'oci:made:1'].join(' ');
    const pulled = run('sh', '-c', `cd '${directory}' && ${pull}`);
    assert.match(pulled, /^[0-9a-f]{64}/);

    assert.equal(anole('run', `oci:${at('made')}:1`), 'hello\n');
  });

  it('makes an image of all files of a sandbox that was made of a recipe', (test) => {
    const directory = temporary(test);
    const anole = anoleIn(test);
    anole('run', '-d', '--name', 'plain', 'os:base', '--', 'sleep', '1d');
    anole('exec', 'plain', 'sh', '-c', 'echo all > /srv/all');
    anole('image', 'commit', 'plain', `oci:${join(directory, 'all')}:1`);
    run('umoci', 'unpack', '--image', `${join(directory, 'all')}:1`, join(directory, 'bundle'));
    const file = (name: string) => join(directory, 'bundle/rootfs', name);
    assert.equal(readFileSync(file('srv/all'), 'utf8'), 'all\n');
    assert.ok(existsSync(file('bin/sh')));
  });
});
