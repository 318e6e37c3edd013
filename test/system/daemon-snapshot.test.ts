import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { daemonUser } from './daemon-user.ts';

describe('sandboxes of the command line', () => {
  const { runtime, run, start, gone, leave } = daemonUser();
  after(leave);
  const file = join(runtime, 'counter.anole');
  const counting = 'n=0; while read -r x; do n=$((n + 1)); echo "$n $x"; done; echo end; exit 3';

  test('are talked to by who attaches, and run on when they leave', async () => {
    const made = await run(
      ...['run', '-d', '-i', '--name', 'counter', '--memory', '128M', '--pids-limit', '77'],
      ...['--', 'sh', '-c', counting],
    );
    assert.equal(made.out, 'counter\n', made.err);
    const first = start(['attach', 'counter'], null);
    first.child.stdin.write('a\n');
    await new Promise((resolve) => first.child.stdout.once('data', resolve));
    // Its end, not that of its input: where a launcher started another process, that one goes first.
    const { pid } = first.child;
    const inner = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean);
    for (const each of [...inner, pid]) process.kill(Number(each), 'SIGKILL');
    await first.ended;
    assert.equal((await run('logs', 'counter')).out, '1 a\n');
    assert.match((await run('ps')).out, /counter/);
  });

  test('are saved, and go on in a daemon that never knew them', async () => {
    const saved = await run('snapshot', '--json', '--stop', 'counter', file);
    assert.deepEqual(JSON.parse(saved.out), { path: file, bytes: statSync(file).size }, saved.err);
    await gone();
    const restored = await run('restore', file, '--name', 'again');
    assert.equal(restored.out, 'again\n', restored.err);
    const [listed] = JSON.parse((await run('ps', '--json')).out);
    assert.deepEqual([listed.name, listed.command.at(-1)], ['again', counting]);
    assert.equal((await run('exec', 'again', 'hostname')).out, 'again\n');
    const { ended, outputs } = start(['attach', 'again'], 'b\nc\n');
    assert.deepEqual([await ended, await outputs[0]], [3, '2 b\n3 c\nend\n']);
  });

  test('are restored for one command, and keep their bounds', async () => {
    const find = 'cat /sys/fs/cgroup/*/pids.max; tr a-z A-Z';
    const { ended, outputs } = start(['restore', '-i', file, '--', 'sh', '-c', find], 'd\n');
    assert.deepEqual([await ended, await outputs[0]], [0, '77\nD\n'], await outputs[1]);
    const json = await run('restore', '--json', '--verify', file, '--', 'sh', '-c', 'exit 4');
    assert.deepEqual([json.code, JSON.parse(json.out).exitCode], [4, 4]);
  });

  test('say what is wrong with a file, and write none where they cannot', async () => {
    const none = await run('restore', '/etc/hostname');
    assert.deepEqual([none.code, /SANDBOX_FILE_FOREIGN/.test(none.err)], [125, true]);
    assert.match((await run('restore', join(runtime, 'none'), '--', 'true')).err, /HOST_NOT_FOUND/);
    assert.match((await run('restore', '--name', 'x', file, '--', 'true')).err, /CLI_USAGE/);
    assert.match((await run('run', '--name', 'x', '--', 'true')).err, /CLI_USAGE/);
    assert.match((await run('restore', '-t', file)).err, /without a command/);
    const path = join(runtime, 'file');
    assert.match((await run('snapshot', 'nobody', path)).err, /CLI_NO_SANDBOX/);
    assert.ok(!existsSync(path));
  });

  test('have bounds of time, disk and output, as they are asked for', async () => {
    const limited = (...words: string[]) => run('run', '-q', '--memory', '128M', ...words);
    const late = await limited('--lifetime', '1s', '--', 'sleep', '1000');
    assert.deepEqual([late.code, /SANDBOX_TIMEOUT/.test(late.err)], [124, true]);
    const full = await limited('--disk', '1M', '--', 'sh', '-c', 'head -c 2000000 /dev/zero > /f');
    assert.match(full.err, /No space left/);
    const loud = await limited('--max-output', '64K', '--', 'sh', '-c', 'yes; sleep 1000');
    assert.deepEqual([loud.code, /SANDBOX_OUTPUT/.test(loud.err)], [125, true]);
    for (const words of [
      ['--cpu-share', '0'],
      ['--pids-limit', '-1'],
      ['--disk', 'x'],
      ['--lifetime', '0'],
    ]) {
      assert.equal((await limited(...words, '--', 'true')).code, 2, words.join(' '));
    }
  });
});
