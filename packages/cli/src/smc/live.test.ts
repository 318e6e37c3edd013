import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasNative } from '@anole/host/native';

const skip = hasNative() ? false : 'koffi is not installed for this platform';
const main = join(import.meta.dirname, '../main.ts');
const argv = ['-C', 'anole-source', main, 'smc'];

/** A program that is run with shared memory, and what it prints first. */
async function run(source: string, ...more: string[]): Promise<readonly [ChildProcess, string]> {
  const args = [...argv, 'run', '--', 'node', '-e', source, ...more];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [text] = (await once(child.stdout!, 'data')) as [Buffer];
  return [child, String(text).trim()];
}

test('smc run, ss and stats: programs share memory unchanged, and say so', { skip }, async () => {
  const stop = `process.stdin.on('end', () => process.exit(7)).resume();`;
  const [server, port] = await run(`
    const server = require('node:net').createServer((socket) => socket.pipe(socket));
    server.listen(0, '127.0.0.1', () => console.log(server.address().port)); ${stop}`);
  const [client, answer] = await run(`
    const socket = require('node:net').connect(${port}, '127.0.0.1');
    socket.write('unchanged');
    socket.on('data', (bytes) => console.log(String(bytes))); ${stop}`);
  try {
    assert.equal(answer, 'unchanged');
    const ss = spawnSync(process.execPath, [...argv, 'ss', '--json'], { encoding: 'utf8' });
    const lines = ss.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const ends = lines.filter(({ local, remote }) => [local, remote].includes(`127.0.0.1:${port}`));
    assert.deepEqual(ends.map(({ role, transport }) => `${role} ${transport}`).sort(), [
      'client smc-d',
      'server smc-d',
    ]);
    assert.ok(ends.every(({ read, written }) => read === 9 && written === 9));
    const text = spawnSync(process.execPath, [...argv, 'ss'], { encoding: 'utf8' }).stdout;
    assert.match(text, new RegExp(`server +127.0.0.1:${port} .* smc-d`));
    const stats = spawnSync(process.execPath, [...argv, 'stats', '--prometheus'], {
      encoding: 'utf8',
    });
    assert.match(stats.stdout, /^anole_smc_connections_total\{role="client"\} [1-9]/m);
  } finally {
    client.stdin!.end();
    server.stdin!.end();
  }
  const exits = await Promise.all([once(client, 'close'), once(server, 'close')]);
  assert.deepEqual(exits, [
    [7, null],
    [7, null],
  ]);
});

test('smc run refuses a policy that is damaged or missing, and ends as its program does', {
  skip,
}, () => {
  const ended = (...args: string[]) =>
    spawnSync(process.execPath, [...argv, 'run', ...args], { encoding: 'utf8' });
  const program = ['--', 'node', '-e', "console.log('ran')"];
  for (const policy of ['/nowhere/policy.json', main]) {
    const { status, stdout, stderr } = ended('--policy', policy, ...program);
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /SMC_BAD_POLICY/);
  }
  assert.equal(ended('--', 'node', '-e', 'process.abort()').status, 128 + 6);
});

test('smc bench measures three ways, of which shared memory is the first', { skip }, () => {
  const args = [...argv, 'bench', '--seconds', '0.15', '--json'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(rows.length, 4);
  for (const { name, sharedMemory, tcp, unix, timesTcp } of rows) {
    for (const each of [sharedMemory, tcp, unix, timesTcp]) assert.ok(each > 0, name);
  }
  const wrong = spawnSync(process.execPath, [...argv, 'bench', '-t', '0'], { encoding: 'utf8' });
  assert.equal(wrong.status, 2, wrong.stderr);
});
