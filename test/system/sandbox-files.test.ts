import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type FileEvent, Sandbox } from '@anole/sandbox';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('files of a sandbox', () => {
  let sandbox: Sandbox;
  let volume: string;

  before(async () => {
    volume = mkdtempSync(join(tmpdir(), 'anole-files-'));
    mkdirSync(join(volume, 'dir'));
    writeFileSync(join(volume, 'dir', 'file'), 'of the host');
    symlinkSync('/etc/os-release', join(volume, 'absolute'));
    symlinkSync('../../../../../etc/os-release', join(volume, 'upwards'));
    sandbox = await Sandbox.create('os:python', {
      maxWritten: 256 << 20,
      volumes: [
        { host: volume, guest: '/mnt/shared' },
        { host: volume, guest: '/var/run/fixed', readOnly: true },
      ],
    });
  });
  after(async () => {
    await sandbox?.close();
    rmSync(volume, { recursive: true, force: true });
  });

  async function sh(script: string, in_ = sandbox): Promise<string> {
    const { stdout, stderr } = await (await in_.exec(['sh', '-c', script])).output();
    return text(stdout) + text(stderr);
  }

  test('are written for commands that start afterwards, whatever the guest knew before', async () => {
    const { files } = sandbox;
    assert.match(await sh('ls /root/new/dir; cat /root/new/dir/file'), /No such file/);
    const info = await files.write('/root/new/dir/file', 'one\n');
    assert.deepEqual(
      [info.path, info.type, info.size, info.mode, info.uid],
      ['/root/new/dir/file', 'file', 4, 0o644, 0],
    );
    assert.equal(await sh('cat /root/new/dir/file; ls /root/new/dir'), 'one\nfile\n');
    for (const round of ['two', 'three and more', '']) {
      await files.write('/root/new/dir/file', round);
      assert.equal(
        await sh('cat /root/new/dir/file; stat -c %s /root/new/dir/file'),
        `${round}${round.length}\n`,
      );
    }
    await files.write('/root/new/dir/second', 'x');
    assert.equal(await sh('ls /root/new/dir'), 'file\nsecond\n');
    await files.remove('/root/new/dir/file');
    assert.match(await sh('ls /root/new/dir; cat /root/new/dir/file'), /^second\n.*No such file/);
    await files.mkdir('/root/new/dir/file/deeper');
    assert.equal(
      await sh('ls /root/new/dir; cd /root/new/dir/file/deeper && touch made'),
      'file\nsecond\n',
    );
    assert.deepEqual(
      (await files.list('/root/new/dir/file/deeper')).map(({ name }) => name),
      ['made'],
    );
  });

  test('written by commands are there once these ended', async () => {
    await sh('mkdir -p /srv/a; echo hello > /srv/a/b; ln -s a /srv/link; ln /srv/a/b /srv/hard');
    assert.equal(await sandbox.files.readText('/srv/link/b'), 'hello\n');
    const found = await sandbox.files.list('/srv', { depth: 2 });
    assert.deepEqual(found.map(({ path, type }) => `${type} ${path}`).sort(), [
      'directory /srv/a',
      'file /srv/a/b',
      'file /srv/hard',
      'symlink /srv/link',
    ]);
    assert.equal((await sandbox.files.stat('/srv/link', { followSymlinks: false })).target, 'a');
    assert.equal(await sandbox.files.exists('/srv/none'), false);
    assert.equal(await sandbox.files.exists('/srv/hard/none'), false);
  });

  test('hold what programs wrote and did not close, or have mapped', async () => {
    const program = `
import mmap, os, sys, time
f = open('/srv/open', 'wb', buffering=0); f.write(b'not closed')
g = os.open('/srv/mapped', os.O_RDWR | os.O_CREAT); os.ftruncate(g, 5000)
m = mmap.mmap(g, 5000); m[0:6] = b'mapped'; m[4990:4995] = b'end..'
print('ready', flush=True)
sys.stdin.readline()
print(m[0:6], os.read(os.open('/srv/mapped', os.O_RDONLY), 6), flush=True)
`;
    const stdin = new Pushed();
    const command = await sandbox.exec(['python3', '-c', program], { stdin });
    assert.equal(text((await command.stdout.next()).value!), 'ready\n');
    assert.equal(await sandbox.files.readText('/srv/open'), 'not closed');
    const mapped = await sandbox.files.read('/srv/mapped');
    assert.equal(text(mapped.subarray(0, 6)), 'mapped');
    assert.equal(text(mapped.subarray(4990, 4995)), 'end..');
    // Who has the former file keeps it; who opens the path gets the new one.
    await sandbox.files.write('/srv/mapped', 'newest');
    stdin.push('go on\n');
    stdin.end();
    const { stdout } = await command.output();
    assert.equal(text(stdout), "b'mapped' b'newest'\n");
    assert.equal(await sandbox.files.readText('/srv/mapped'), 'newest');
  });

  test('may be replaced, moved and removed under programs that use them', async () => {
    await sh('mkdir -p /srv/used/below; echo old > /srv/used/file');
    const script = `cd /srv/used/below; exec 3< ../file; echo ready
      read line; cat <&3; cat /srv/used/file; echo made > here; pwd -P; read line; ls /srv/moved; cat <&3; ls -A`;
    const stdin = new Pushed();
    const command = await sandbox.exec(['sh', '-c', script], { stdin });
    await command.stdout.next();
    await sandbox.files.write('/srv/used/file', 'new\n');
    stdin.push('next\n');
    let shown = '';
    while (!shown.includes('below')) shown += text((await command.stdout.next()).value!);
    assert.equal(shown, 'old\nnew\n/srv/used/below\n');
    await sandbox.files.move('/srv/used', '/srv/moved');
    stdin.push('next\n');
    stdin.end();
    const { stdout } = await command.output();
    assert.equal(text(stdout), 'below\nfile\nhere\n');
    assert.equal(
      await sh('touch /srv/moved/below/again; ls /srv/moved/below; ls /srv/used 2>&1 | tail -c 10'),
      'again\nhere\ndirectory\n',
    );
    await sandbox.files.remove('/srv/moved');
    assert.match(await sh('ls /srv/moved'), /No such file/);
  });

  test('keep mode and owner when they are replaced, and get those that are asked for', async () => {
    await sh('echo x > /srv/tool; chmod 755 /srv/tool; chown nobody:mail /srv/tool');
    await sandbox.files.write('/srv/tool', '#!/bin/sh\necho run\n');
    assert.equal(await sh('/srv/tool; stat -c "%a %U %G" /srv/tool'), 'run\n755 nobody mail\n');
    await sandbox.files.write('/srv/daemon/mine', 'x', { mode: 0o600, user: 'daemon' });
    assert.equal(
      await sh('stat -c "%a %U %n" /srv/daemon /srv/daemon/mine'),
      '755 daemon /srv/daemon\n600 daemon /srv/daemon/mine\n',
    );
    const unknown = sandbox.files.write('/srv/x', 'x', { user: 'nobody-here' });
    await assert.rejects(unknown, { code: 'SANDBOX_NO_USER' });
  });

  test('of any size stream in and out unchanged, and appear whole or not at all', async () => {
    const size = 5_000_001;
    const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8) * 7) & 255);
    async function* pieces() {
      for (let at = 0; at < size; at += 70_000) yield bytes.subarray(at, at + 70_000);
    }
    await sandbox.files.write('/srv/big', pieces());
    assert.equal(Buffer.compare(await sandbox.files.read('/srv/big'), bytes), 0);
    const sum = await sh('sha256sum < /srv/big');
    await sh('cp /srv/big /srv/copy');
    assert.equal(await sh('sha256sum < /srv/copy'), sum);
    assert.equal(Buffer.compare(await sandbox.files.read('/srv/copy'), bytes), 0);
    async function* broken() {
      yield bytes;
      throw new Error('no more');
    }
    await assert.rejects(sandbox.files.write('/srv/copy', broken()), /no more/);
    assert.equal(await sh('sha256sum < /srv/copy; ls -A /srv | grep -c anole'), `${sum}0\n`);
    for await (const piece of sandbox.files.stream('/srv/big')) {
      assert.ok(piece.length > 0);
      break;
    }
    await sandbox.files.remove('/srv/big');
    await sandbox.files.remove('/srv/copy');
  });

  test('2,000 at once', async () => {
    const files = Array.from({ length: 2000 }, (_, n) => ({
      path: `/srv/many/${n % 20}/${n}`,
      data: `${n}`,
    }));
    await sandbox.files.writeAll(files);
    assert.equal(
      await sh('find /srv/many -type f | wc -l; cat /srv/many/*/* | wc -c'),
      '2000\n6890\n',
    );
    const read = await sandbox.files.readAll(files.map(({ path }) => path));
    assert.deepEqual(
      read.map(text),
      files.map(({ data }) => data),
    );
    await sandbox.files.remove('/srv/many');
    assert.match(await sh('ls /srv/many'), /No such file/);
  });

  test('that do not fit are refused, and what was there stays', async () => {
    await sandbox.files.write('/srv/keep', 'kept');
    async function* endless() {
      for (;;) yield new Uint8Array(1 << 20);
    }
    await assert.rejects(sandbox.files.write('/srv/keep', endless()), { code: 'VFS_NO_SPACE' });
    assert.equal(await sandbox.files.readText('/srv/keep'), 'kept');
    await sandbox.files.write('/srv/after', new Uint8Array(100 << 20));
    await sandbox.files.remove('/srv/after');
  });

  test('are reached by paths that mean what they mean in the guest, and never lead out', async () => {
    const release = await sh('cat /etc/os-release');
    await sh(
      'ln -s /etc/os-release /srv/abs; ln -s ../../../../../../etc/os-release /srv/up; ln -s loop /srv/loop',
    );
    for (const path of [
      '/srv/abs',
      '/srv/up',
      '/../../etc/os-release',
      '/mnt/shared/absolute',
      '/mnt/shared/upwards',
      '//etc/./os-release',
      '/mnt/shared/../../etc/os-release',
    ]) {
      assert.equal(await sandbox.files.readText(path), release, path);
    }
    await assert.rejects(sandbox.files.read('/srv/loop'), { code: 'VFS_LOOP' });
    await assert.rejects(sandbox.files.write('/srv/loop/x', ''), { code: 'VFS_LOOP' });
    await assert.rejects(sandbox.files.read('etc/passwd'), { code: 'VFS_INVALID' });
    await assert.rejects(sandbox.files.read('/etc/\0'), { code: 'VFS_INVALID' });
    await assert.rejects(sandbox.files.read('/etc'), { code: 'VFS_IS_DIRECTORY' });
    await assert.rejects(sandbox.files.write('/etc', 'x'), { code: 'VFS_IS_DIRECTORY' });
    await assert.rejects(sandbox.files.read('/etc/passwd/x'), { code: 'VFS_NOT_DIRECTORY' });
    for (const path of [
      '/proc/1/environ',
      '/sys/kernel',
      '/dev/null',
      '/run/anole/qjs',
      '/srv/../proc/1',
    ]) {
      await assert.rejects(sandbox.files.read(path), { code: 'VFS_NOT_PERMITTED' }, path);
    }
    for (const path of ['/', '/mnt', '/mnt/shared', '/run', '/proc']) {
      await assert.rejects(sandbox.files.remove(path), { code: 'VFS_NOT_PERMITTED' }, path);
    }
    // Through a link that leads out of a volume the guest's own file is written.
    await sandbox.files.write('/mnt/shared/absolute', 'ours');
    assert.equal(await sh('cat /etc/os-release'), 'ours');
  });

  test('in volumes are the host’s', async () => {
    assert.equal(await sandbox.files.readText('/mnt/shared/dir/file'), 'of the host');
    await sandbox.files.write('/mnt/shared/dir/sent', 'through the sandbox');
    assert.equal(readFileSync(join(volume, 'dir', 'sent'), 'utf8'), 'through the sandbox');
    assert.equal(await sandbox.files.readText('/run/fixed/dir/sent'), 'through the sandbox');
    await assert.rejects(sandbox.files.write('/run/fixed/x', ''), { code: 'VFS_READ_ONLY' });
    await assert.rejects(sandbox.files.move('/mnt/shared/dir/sent', '/srv/sent'), {
      code: 'VFS_CROSS_DEVICE',
    });
  });

  test('are watched: what the guest changes, and what the host does', async () => {
    await sh('mkdir -p /srv/watched/deep');
    const controller = new AbortController();
    const { signal } = controller;
    const watch = await sandbox.files.watch('/srv/watched', { recursive: true, signal });
    const seen: FileEvent[] = [];
    const reading = (async () => {
      for await (const event of watch) seen.push(event);
    })();
    await sh('cd /srv/watched; echo x > deep/a; mv deep/a b; rm b; echo y > ../elsewhere');
    await sandbox.files.write('/srv/watched/host', 'x');
    while (!seen.some(({ path }) => path.endsWith('host'))) await delay(5);
    controller.abort();
    await reading;
    const told = seen.map(({ kind, path, from }) => [kind, path, from].filter(Boolean).join(' '));
    for (const expected of [
      'create /srv/watched/deep/a',
      'write /srv/watched/deep/a',
      'rename /srv/watched/b /srv/watched/deep/a',
      'remove /srv/watched/b',
      'create /srv/watched/host',
    ]) {
      assert.ok(told.includes(expected), `${expected} in ${told.join(', ')}`);
    }
    assert.ok(!told.some((line) => line.includes('elsewhere')));
  });

  test('are safe from a guest that moves directories while the host writes into them', async () => {
    await sandbox.files.writeAll([
      { path: '/srv/race/a/name', data: 'a' },
      { path: '/srv/race/precious/name', data: 'precious' },
    ]);
    const script = `cd /srv/race; cat */name > /dev/null
      while :; do mv a b; ln -s precious a; cat a/name > /dev/null; rm a; mv b a; done 2>/dev/null`;
    const racer = await sandbox.exec(['sh', '-c', script]);
    for (let round = 0; round < 60; round++) {
      await sandbox.files.write('/srv/race/a/name', `${round}`).catch(() => {});
    }
    racer.kill('SIGKILL');
    await racer.exit;
    assert.match(await sh('cat /srv/race/precious/name'), /^(precious|[0-9]+)$/);
  });

  test('of a copy are its own', async () => {
    await sandbox.files.write('/srv/shared', 'before');
    await using copy = await sandbox.fork();
    await copy.files.write('/srv/shared', 'copy');
    await sandbox.files.write('/srv/shared', 'original');
    assert.equal(await sh('cat /srv/shared', copy), 'copy');
    assert.equal(await sh('cat /srv/shared'), 'original');
    assert.equal(await copy.files.readText('/srv/shared'), 'copy');
  });

  test('are out of reach once the sandbox is closed', async () => {
    const watch = await sandbox.files.watch('/srv');
    await sandbox.close();
    await assert.rejects(sandbox.files.read('/etc/passwd'), { code: 'SANDBOX_CLOSED' });
    assert.equal((await watch.next()).done, true);
  });
});

/** Input that is given piece by piece. */
class Pushed implements AsyncIterable<string> {
  readonly #queue: string[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  push(line: string): void {
    this.#queue.push(line);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      const line = this.#queue.shift();
      if (line !== undefined) yield line;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
