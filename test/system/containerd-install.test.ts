import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { GrpcClient } from '@anole/containerd';
import { Snapshots } from '../../packages/containerd/src/api/snapshots.ts';
import { needs, run, temporary, until } from '../../packages/oci/src/testing/tools.ts';
import { anoleProgram } from './anole-program.ts';

const anole = [process.execPath, anoleProgram] as const;

describe('anole containerd install', () => {
  it('writes units that systemd takes', { skip: needs('systemd-analyze') }, (test) => {
    const root = temporary(test);
    const written = run(...anole, 'containerd', 'install', '--root', root)
      .trim()
      .split('\n');
    assert.equal(written.length, 4);
    const units = written.filter((path) => /\.(service|socket)$/.test(path));
    const { status, stderr } = spawnSync('systemd-analyze', ['--man=no', 'verify', ...units], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /anole/, 'no warning is about them');
    const printed = run(...anole, 'containerd', 'install', '--print');
    for (const path of written) assert.ok(printed.includes(readFileSync(path, 'utf8')), path);
  });

  it('writes a configuration that containerd takes', { skip: needs('containerd') }, (test) => {
    const root = temporary(test);
    run(...anole, 'containerd', 'install', '--root', root);
    const config = join(root, 'config.toml');
    const ours = join(root, 'etc/containerd/anole.toml');
    writeFileSync(config, `version = 2\nimports = ["${ours}"]\n`);
    const dumped = run('containerd', '--config', config, 'config', 'dump');
    const [, plugin = ''] = dumped.split('[proxy_plugins.anole]');
    assert.match(plugin, /^\s+address = "\/run\/anole\/snapshotter.sock"\s+type = "snapshot"\s/);
    assert.match(dumped, /snapshotter = "anole"/);
    assert.match(dumped, /disable_snapshot_annotations = false/);
  });
});

const skip = needs('systemd-socket-activate', 'root');
it('the snapshotter takes a socket that systemd listens on', { skip }, async (test) => {
  const directory = temporary(test);
  const socket = join(directory, 'sock');
  const root = join(directory, 'snapshots');
  const command = [...anole, 'containerd', 'serve', '--root', root, '--images', '/nowhere'];
  const child = spawn('systemd-socket-activate', ['--listen', socket, ...command], {
    stdio: 'ignore',
  });
  test.after(() => child.kill('SIGKILL'));
  // Its name is there a moment earlier.
  const isListening = () =>
    readFileSync('/proc/net/unix', 'latin1')
      .split('\n')
      .some((line) => line.endsWith(` ${socket}`) && line.includes(' 00010000 '));
  await until('systemd listens', isListening);
  using client = new GrpcClient(socket);
  // The call is made before the process is there that answers it.
  const { mounts } = await client.call(Snapshots.prepare, { key: 'a' });
  assert.equal(mounts[0]?.type, 'bind');
});
