import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../packages/oci/src/testing/tools.ts';
import { daemonUser } from './daemon-user.ts';
import { environmentOf, isAlive } from './left-over.ts';
import { needsTerminal, onTerminal } from './on-terminal.ts';

describe('sandboxes that live on', () => {
  const { runtime, environment, place, start, run, daemon, gone, leave } = daemonUser();
  after(leave);

  test('run, are listed, take commands, and are killed', async () => {
    assert.deepEqual(JSON.parse((await run('ps', '--json')).out), []);
    assert.equal(existsSync(place('daemon.sock')), false);
    const made = await run(
      'run',
      '-d',
      '--name',
      'web',
      '--',
      'sh',
      '-c',
      'echo started; echo bad >&2; exec sleep 1000',
    );
    assert.deepEqual([made.code, made.out], [0, 'web\n'], made.err);
    const [listed] = JSON.parse((await run('ps', '--json')).out);
    assert.deepEqual([listed.name, listed.state, listed.image], ['web', 'running', 'os:base']);
    const exec = await run('exec', 'web', 'sh', '-c', 'echo out; echo err >&2; exit 7');
    assert.deepEqual(exec, { code: 7, out: 'out\n', err: 'err\n' });
    assert.equal((await run('exec', listed.id.slice(0, 6), 'hostname')).out, 'web\n');
    assert.equal((await run('exec', 'web', 'no-such')).code, 127);
    const { ended, outputs } = start(['exec', '-i', 'web', 'tr', 'a-z', 'A-Z'], 'input\n');
    assert.deepEqual([await ended, await outputs[0]], [0, 'INPUT\n']);
    const logs = await run('logs', 'web');
    assert.deepEqual([logs.out, logs.err], ['started\n', 'bad\n']);
    const again = await run('run', '-d', '--name', 'web', '--', 'true');
    assert.deepEqual([again.code, /there is one/.test(again.err)], [2, true]);
  });

  test('are paused, resumed, counted and copied', async () => {
    assert.equal((await run('pause', 'web')).code, 0);
    assert.match((await run('exec', 'web', 'true')).err, /paused/);
    assert.equal(JSON.parse((await run('stats', 'web', '--json')).out).state, 'paused');
    assert.equal((await run('resume', 'web')).code, 0);
    assert.equal((await run('exec', 'web', 'sh', '-c', 'echo kept > /root/note')).code, 0);
    assert.equal((await run('fork', 'web', '--name', 'copy')).out, 'copy\n');
    assert.equal((await run('exec', 'copy', 'cat', '/root/note')).out, 'kept\n');
    assert.equal((await run('kill', 'copy')).code, 0);
    const ended = await run('exec', 'copy', 'true');
    assert.deepEqual([ended.code, /ended/.test(ended.err)], [125, true]);
  });

  test('give and take files', async () => {
    const directory = join(runtime, 'files');
    mkdirSync(join(directory, 'below'), { recursive: true });
    writeFileSync(join(directory, 'tool'), '#!/bin/sh\necho tool\n', { mode: 0o755 });
    writeFileSync(join(directory, 'below', 'big'), Buffer.alloc(3_000_000, 'xyz'));
    const copied = await run('cp', '--json', directory, 'web:/root');
    assert.deepEqual(JSON.parse(copied.out), { files: 2 }, copied.err);
    assert.equal((await run('exec', 'web', '/root/files/tool')).out, 'tool\n');
    const back = join(runtime, 'back');
    assert.equal((await run('cp', 'web:/root/files', back)).code, 0);
    assert.equal(
      Buffer.compare(
        readFileSync(join(back, 'below/big')),
        readFileSync(join(directory, 'below/big')),
      ),
      0,
    );
    assert.equal(statSync(join(back, 'tool')).mode & 0o777, 0o755);
    assert.match((await run('cp', 'web:/root/nothing', back)).err, /Cannot find \/root\/nothing/);
    assert.equal((await run('cp', 'a', 'b')).code, 2);
  });

  test('end with their command, and are remembered with how', async () => {
    await run('run', '-d', '--name', 'short', '--', 'sh', '-c', 'echo done; exit 5');
    let listed: { name: string; state: string; exitCode: number }[] = [];
    while (!listed.some(({ name, state }) => name === 'short' && state === 'ended')) {
      listed = JSON.parse((await run('ps', '-a', '--json')).out);
    }
    assert.equal(listed.find(({ name }) => name === 'short')?.exitCode, 5);
    assert.equal((await run('logs', '-f', 'short')).out, 'done\n');
  });

  test('are their user’s alone', () => {
    assert.equal(statSync(place('')).mode & 0o777, 0o700);
    assert.equal(statSync(place('daemon.sock')).mode & 0o777, 0o600);
  });

  test('who shares the directory is refused', async () => {
    chmodSync(place(''), 0o755);
    const refused = await run('ps');
    chmodSync(place(''), 0o700);
    assert.deepEqual([refused.code, /others have access/.test(refused.err)], [1, true]);
  });

  test('serve at their published ports, and no longer when they are killed', async () => {
    const { connect } = await import('node:net');
    const serving = 'while echo served | /run/anole/busybox nc -l -p 80; do :; done';
    const made = await run(
      'run',
      '-d',
      '-q',
      '--name',
      'server',
      '-p',
      '0:80',
      '--',
      'sh',
      '-c',
      serving,
    );
    assert.equal(made.out, 'server\n', made.err);
    const port = Number(/port 80 is at 127\.0\.0\.1:(\d+)/.exec(made.err)?.[1]);
    const fetchOnce = () =>
      new Promise<string>((resolve) => {
        let text = '';
        const socket = connect(port, '127.0.0.1');
        socket.on('data', (bytes) => {
          text += bytes;
        });
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
        socket.on('end', () => resolve(text));
        socket.end();
      });
    let answer = await fetchOnce();
    // Reset as long as nobody listens yet.
    for (; answer === 'ECONNRESET'; answer = await fetchOnce()) await delay(100);
    assert.equal(answer, 'served\n');
    await run('kill', 'server');
    assert.equal(await fetchOnce(), 'ECONNREFUSED');
    const logged = await run('run', '-d', '--net', '--net-log', '--', 'true');
    assert.match(logged.err, /Cannot detach with --net-log/);
  });

  test('are left by who attached a terminal, and run on', needsTerminal, async () => {
    assert.equal((await run('run', '-dit', '--name', 'shell', '--', 'sh')).out, 'shell\n');
    const leaving = [
      ['expect', 'leaves it'],
      ['send', 'x=kept; echo $((20 + 3))\n'],
      ['expect', '23\r\n'],
      ['send', '\x1d\x1d\x1d'],
    ];
    const left = onTerminal(leaving, ['attach', 'shell'], environment);
    assert.deepEqual([left.status, left.restored], [0, true], JSON.stringify(left));
    assert.doesNotMatch(left.transcript, /Error|Cannot/);
    const ending = [
      ['expect', 'leaves it'],
      ['send', 'stty size; echo $x\n'],
      ['expect', '24 80\r\nkept\r\n'],
      ['send', 'exit 5\n'],
    ];
    assert.equal(onTerminal(ending, ['attach', 'shell'], environment).status, 5);
  });

  test('a daemon that is killed leaves nothing, and the next one starts afresh', async () => {
    const pid = await daemon();
    const { ended } = start(['exec', 'web', 'sleep', '1000']);
    await run('exec', 'web', 'true');
    process.kill(pid, 'SIGKILL');
    assert.equal(await ended, 125);
    const isOurs = (each: number) => environmentOf(each).includes(`XDG_RUNTIME_DIR=${runtime}`);
    const left = () => readdirSync('/proc').filter((name) => isOurs(Number(name)));
    await until('all of its processes have ended', () => !isAlive(pid) && left().length === 0);
    assert.doesNotMatch(readFileSync('/proc/mounts', 'utf8'), /anole-daemon-/);
    assert.deepEqual(JSON.parse((await run('ps', '-a', '--json')).out), []);
    assert.equal((await run('run', '-d', '--name', 'web', 'os:base')).out, 'web\n');
    assert.equal((await run('exec', 'web', 'echo', 'well')).out, 'well\n');
    assert.notEqual(await daemon(), pid);
  });

  test('the daemon ends by itself, without its socket, when it holds none', async () => {
    const pid = await daemon();
    await run('kill', 'web');
    await gone();
    await until('the daemon has ended', () => !isAlive(pid));
  });
});
