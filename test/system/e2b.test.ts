// The official JavaScript SDK of E2B, unchanged, against `anole serve`.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CommandExitError, FileNotFoundError, Sandbox } from 'e2b';

const anole = fileURLToPath(new URL('../../packages/cli/bin/anole.js', import.meta.url));
const keys = [
  'e2b_00000000000000000000000000000000000000aa',
  'e2b_00000000000000000000000000000000000000bb',
];

describe('the e2b SDK', () => {
  let server: ChildProcess;
  let url: string;
  let connection: { apiUrl: string; sandboxUrl: string; apiKey: string };
  let sandbox: Sandbox;

  const snapshots = mkdtempSync(join(tmpdir(), 'anole-e2b-'));
  after(() => rmSync(snapshots, { recursive: true }));

  before(async () => {
    const words = [
      'serve',
      '--port',
      '0',
      '--json',
      '--snapshots',
      snapshots,
      ...keys.flatMap((key) => ['--api-key', key]),
    ];
    server = spawn(process.execPath, [anole, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(createInterface(server.stdout!), 'line');
    url = JSON.parse(line as string).url;
    connection = { apiUrl: url, sandboxUrl: url, apiKey: keys[0]! };
    sandbox = await Sandbox.create('python', {
      ...connection,
      metadata: { purpose: 'test' },
      envs: { GREETING: 'hello' },
      timeoutMs: 600_000,
      requestTimeoutMs: 120_000,
    });
  });
  after(async () => {
    server?.kill('SIGTERM');
    if (server?.exitCode === null) await once(server, 'exit');
  });

  test('runs commands, with streams, variables, directories and exit codes', async () => {
    const chunks: string[] = [];
    const result = await sandbox.commands.run('echo $GREETING $NAME; pwd; echo err >&2', {
      envs: { NAME: 'world' },
      cwd: '/usr/lib',
      onStdout: (text) => void chunks.push(text),
    });
    assert.deepEqual(
      [result.exitCode, result.stdout, result.stderr],
      [0, 'hello world\n/usr/lib\n', 'err\n'],
    );
    assert.equal(chunks.join(''), 'hello world\n/usr/lib\n');
    await assert.rejects(sandbox.commands.run('exit 3'), (error) => {
      assert.ok(error instanceof CommandExitError);
      assert.equal(error.exitCode, 3);
      return true;
    });
    const python = await sandbox.commands.run('python3 -c "print(6 * 7)"');
    assert.equal(python.stdout, '42\n');
    assert.equal((await sandbox.commands.run('id -un', { user: 'nobody' })).stdout, 'nobody\n');
  });

  test('steers commands in the background: input, list, kill, connect', async () => {
    const cat = await sandbox.commands.run('cat', { background: true, stdin: true });
    await sandbox.commands.sendStdin(cat.pid, 'one\n');
    await sandbox.commands.sendStdin(cat.pid, 'two\n');
    assert.ok((await sandbox.commands.list()).some(({ pid }) => pid === cat.pid));
    await sandbox.commands.closeStdin(cat.pid);
    assert.equal((await cat.wait()).stdout, 'one\ntwo\n');
    const sleeper = await sandbox.commands.run('sleep 1000', { background: true });
    const again = await sandbox.commands.connect(sleeper.pid);
    assert.equal(await sandbox.commands.kill(sleeper.pid), true);
    await assert.rejects(again.wait(), CommandExitError);
    await assert.rejects(sleeper.wait(), CommandExitError);
    assert.equal(await sandbox.commands.kill(sleeper.pid), false);
  });

  test('has a terminal', async () => {
    let shown = '';
    const pty = await sandbox.pty.create({
      cols: 90,
      rows: 30,
      onData: (data) => {
        shown += new TextDecoder().decode(data);
      },
    });
    await sandbox.pty.sendInput(pty.pid, new TextEncoder().encode('stty size; exit\n'));
    await pty.wait();
    assert.match(shown, /30 90/);
  });

  test('reads, writes, lists, moves, watches and removes files', async () => {
    await sandbox.files.write('/srv/dir/note', 'hello');
    assert.equal(await sandbox.files.read('/srv/dir/note'), 'hello');
    assert.equal((await sandbox.commands.run('cat /srv/dir/note')).stdout, 'hello');
    await sandbox.files.write([
      { path: '/srv/dir/a', data: 'a' },
      { path: '/srv/dir/b', data: new Blob([new Uint8Array([1, 2, 3])]) },
    ]);
    assert.deepEqual([...(await sandbox.files.read('/srv/dir/b', { format: 'bytes' }))], [1, 2, 3]);
    const big = 'x'.repeat(3_000_000);
    await sandbox.files.write('/srv/big', new Blob([big]).stream());
    assert.equal((await sandbox.files.read('/srv/big')).length, big.length);
    const names = (await sandbox.files.list('/srv/dir')).map(({ name, type }) => `${name} ${type}`);
    assert.deepEqual(names.sort(), ['a file', 'b file', 'note file']);
    assert.equal(await sandbox.files.exists('/srv/none'), false);
    await assert.rejects(sandbox.files.read('/srv/none'), FileNotFoundError);
    assert.equal(await sandbox.files.makeDir('/srv/made'), true);
    assert.equal(await sandbox.files.makeDir('/srv/made'), false);
    const seen: string[] = [];
    const watch = await sandbox.files.watchDir(
      '/srv/made',
      ({ name, type }) => void seen.push(`${type} ${name}`),
    );
    await sandbox.commands.run('echo x > /srv/made/new');
    while (!seen.includes('create new')) await delay(20);
    await watch.stop();
    await sandbox.files.rename('/srv/made/new', '/srv/made/renamed');
    const info = await sandbox.files.getInfo('/srv/made/renamed');
    assert.deepEqual([info.size, info.permissions, info.owner], [2, '-rw-r--r--', 'root']);
    await sandbox.files.remove('/srv/made');
    assert.equal(await sandbox.files.exists('/srv/made/renamed'), false);
    await sandbox.files.write('relative.txt', 'in the home');
    assert.equal((await sandbox.commands.run('cat ~/relative.txt')).stdout, 'in the home');
  });

  test('gives signed links to files', async () => {
    await sandbox.files.write('/srv/linked', 'linked');
    const link = await sandbox.downloadUrl('/srv/linked');
    const headers = { 'e2b-sandbox-id': sandbox.sandboxId };
    assert.equal(await (await fetch(link, { headers })).text(), 'linked');
    const forged = link.replace('linked', 'other');
    assert.equal((await fetch(forged, { headers })).status, 401);
  });

  test('reaches a server in the sandbox', async () => {
    const program = `
import socket
server = socket.create_server(("", 8000))
while True:
    client, _ = server.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.0 200 OK\\r\\ncontent-length: 18\\r\\n\\r\\nserved from inside")
    client.close()
`;
    await sandbox.files.write('/srv/server.py', program);
    const command = 'python3 /srv/server.py';
    const serving = await sandbox.commands.run(command, { background: true });
    const { port } = new URL(url);
    // What resolves the host's name is up to the client; here it is given with the request.
    const ask = () =>
      new Promise<string>((resolve, reject) => {
        const host = sandbox.getHost(8000);
        const asking = httpRequest({ port, headers: { host } }, async (answer) => {
          let body = '';
          for await (const chunk of answer) body += String(chunk);
          if (answer.statusCode === 200) resolve(body);
          else reject(new Error(body));
        });
        asking.on('error', reject);
        asking.end();
      });
    let body: string | undefined;
    while (body === undefined) body = await ask().catch(() => delay(50, undefined));
    assert.equal(body, 'served from inside');
    await serving.kill();
  });

  test('pauses, resumes, and tells how it is', async () => {
    await sandbox.files.write('/srv/kept', 'kept');
    assert.equal(await sandbox.pause(), true);
    assert.equal((await sandbox.getInfo()).state, 'paused');
    assert.equal(await sandbox.isRunning(), false);
    const again = await Sandbox.connect(sandbox.sandboxId, connection);
    assert.equal(await again.files.read('/srv/kept'), 'kept');
    await sandbox.setTimeout(500_000);
    const { metadata, endAt, state, templateId } = await sandbox.getInfo();
    assert.deepEqual([metadata, state, templateId], [{ purpose: 'test' }, 'running', 'python']);
    assert.ok(endAt.getTime() > Date.now() + 400_000);
    const [metrics] = await sandbox.getMetrics();
    assert.ok(metrics !== undefined && metrics.memTotal > 0);
    const paginator = Sandbox.list({ ...connection, query: { metadata: { purpose: 'test' } } });
    assert.deepEqual(
      (await paginator.nextItems()).map(({ sandboxId }) => sandboxId),
      [sandbox.sandboxId],
    );
  });

  test('makes sandboxes of snapshots, which only their owner sees', async () => {
    await sandbox.files.write('/srv/saved', 'before');
    const { snapshotId } = await sandbox.createSnapshot({ name: 'warm' });
    assert.equal(snapshotId, 'warm:default');
    await sandbox.files.write('/srv/saved', 'after');
    const unnamed = await sandbox.createSnapshot();
    const listed = await Sandbox.listSnapshots({
      ...connection,
      sandboxId: sandbox.sandboxId,
    }).nextItems();
    assert.deepEqual(
      listed.map((each) => each.snapshotId).sort(),
      [snapshotId, unnamed.snapshotId].sort(),
    );
    const copy = await Sandbox.create(snapshotId, { ...connection, requestTimeoutMs: 120_000 });
    assert.equal(await copy.files.read('/srv/saved'), 'before');
    assert.equal((await copy.commands.run('echo $GREETING')).stdout, 'hello\n');
    await copy.kill();
    const other = { ...connection, apiKey: keys[1]! };
    assert.deepEqual(await Sandbox.listSnapshots(other).nextItems(), []);
    await assert.rejects(Sandbox.create(snapshotId, other), /not found/);
    assert.equal(await Sandbox.deleteSnapshot(snapshotId, other), false);
    assert.equal(await Sandbox.deleteSnapshot(snapshotId, connection), true);
    assert.equal(await Sandbox.deleteSnapshot(unnamed.snapshotId, connection), true);
    await assert.rejects(Sandbox.create(snapshotId, connection), /not found/);
  });

  test('forks', async () => {
    await sandbox.files.write('/srv/forked', 'before');
    const copies = await sandbox.fork({ count: 2 });
    for (const copy of copies) {
      assert.ok(copy instanceof Sandbox);
      assert.equal(await copy.files.read('/srv/forked'), 'before');
      await copy.files.write('/srv/forked', copy.sandboxId);
      assert.equal((await copy.commands.run('cat /srv/forked')).stdout, copy.sandboxId);
      await copy.kill();
    }
    assert.equal(await sandbox.files.read('/srv/forked'), 'before');
  });

  test('gets nothing without a key, with another’s, or without the sandbox’s token', async () => {
    const bare = await fetch(`${url}/v2/sandboxes`);
    assert.equal(bare.status, 401);
    const wrong = { 'x-api-key': 'e2b_wrong' };
    assert.equal(
      (await fetch(`${url}/sandboxes/${sandbox.sandboxId}`, { headers: wrong })).status,
      401,
    );
    const others = { ...connection, apiKey: keys[1]! };
    assert.deepEqual(await Sandbox.list(others).nextItems(), []);
    await assert.rejects(Sandbox.connect(sandbox.sandboxId, others), /not found/);
    assert.equal(await Sandbox.kill(sandbox.sandboxId, others), false);
    const headers = { 'e2b-sandbox-id': sandbox.sandboxId, 'content-type': 'application/json' };
    const list = { method: 'POST', body: '{}', headers };
    assert.equal((await fetch(`${url}/process.Process/List`, list)).status, 401);
    assert.equal((await fetch(`${url}/files?path=/etc/passwd`, { headers })).status, 401);
    const forged = { ...headers, 'x-access-token': 'guessed' };
    assert.equal((await fetch(`${url}/files?path=/etc/passwd`, { headers: forged })).status, 401);
  });

  test('meets errors for what is not served, or is no request', async () => {
    const headers = { 'x-api-key': keys[0]!, 'content-type': 'application/json' };
    const post = (body: string) => fetch(`${url}/v2/sandboxes`, { method: 'POST', headers, body });
    assert.equal((await post('{')).status, 400);
    assert.equal((await post('{"templateID":"/etc"}')).status, 404);
    assert.equal((await post('{"templateID":"constructor"}')).status, 404);
    assert.equal((await post('{"timeout":-1}')).status, 400);
    assert.equal((await fetch(`${url}/v2/nothing`, { headers })).status, 404);
    await assert.rejects(Sandbox.create('no-such-template', connection), /not found/);
  });

  test('kills', async () => {
    assert.equal(await sandbox.kill(), true);
    assert.equal(await Sandbox.kill(sandbox.sandboxId, connection), false);
    await assert.rejects(sandbox.commands.run('true'));
  });
});
