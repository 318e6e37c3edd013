import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { needsTerminal, onTerminal } from './on-terminal.ts';

const anole = fileURLToPath(new URL('../../packages/cli/bin/anole.js', import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn(process.execPath, [anole, ...args], { stdio: 'pipe', ...options });
}

async function outcomeOf(child: ChildProcess, input = ''): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (bytes) => {
    stdout += bytes;
  });
  child.stderr?.on('data', (bytes) => {
    stderr += bytes;
  });
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

const anoleRun = (args: readonly string[], input?: string) =>
  outcomeOf(start(['run', '--quiet', ...args]), input);

describe('anole run', () => {
  test('keeps the streams apart, passes input on and exits with the command’s code', async () => {
    const script = 'tr a-z A-Z; echo err >&2; exit 7';
    const result = await anoleRun(['-i', '--', 'sh', '-c', script], 'hi\n');
    assert.deepEqual(result, { code: 7, stdout: 'HI\n', stderr: 'err\n' });
  });

  test('takes variables, user, directory and volume; an option after the command is its own', async () => {
    const flags = [
      '-e',
      'A=b c',
      '-u',
      'nobody',
      '-w',
      '/tmp',
      '-v',
      `${import.meta.dirname}:/mnt/here:ro`,
    ];
    const script = 'echo "$A $(id -un) $PWD $1"; ls /mnt/here | grep -c run-command';
    const result = await anoleRun([...flags, 'os:base', 'sh', '-c', script, 'sh', '-x']);
    assert.deepEqual(result, { code: 0, stdout: 'b c nobody /tmp -x\n1\n', stderr: '' });
  });

  test('says what failed, each with its exit code', async () => {
    const cases: [readonly string[], number, string][] = [
      [['--', 'no-such-command'], 127, 'SANDBOX_NOT_FOUND'],
      [['--timeout', '100ms', '--', 'sleep', '1000'], 124, 'SANDBOX_TIMEOUT'],
      [['no-such-image', 'true'], 125, 'SANDBOX_BAD_IMAGE'],
      [['os:base'], 2, 'CLI_USAGE'],
      [['--memory', 'much', '--', 'true'], 2, 'CLI_USAGE'],
    ];
    for (const [args, code, name] of cases) {
      const result = await anoleRun(args);
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, new RegExp(`code: ${name}`));
      assert.equal(result.stdout, '');
    }
  });

  test('tells a damaged image from a missing command', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'anole-damaged-'));
    try {
      const image = join(directory, 'base.erofs');
      const built = await outcomeOf(start(['os', 'build', 'base', '--quiet', '-o', image]));
      assert.equal(built.code, 0, built.stderr);
      const file = openSync(image, 'r+');
      // All inodes but the first, which are the root and what making ready reads.
      writeSync(file, new Uint8Array(400 * 4096).fill(0xff), 0, 400 * 4096, 3 * 4096);
      closeSync(file);
      const result = await anoleRun([image, 'sh', '-c', 'true']);
      assert.match(result.stderr, /damaged\n {2}code: SANDBOX_DAMAGED/);
      assert.equal(result.code, 125);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('reports in JSON', async () => {
    const child = start([
      'run',
      '--json',
      '--',
      'sh',
      '-c',
      "printf '\\377'; echo ü >&2; kill -9 $$",
    ]);
    const { code, stdout } = await outcomeOf(child);
    assert.equal(code, 137);
    const { seconds, ...report } = JSON.parse(stdout);
    assert.deepEqual(report, {
      exitCode: 137,
      signal: 'SIGKILL',
      stdoutBase64: '/w==',
      stderr: 'ü\n',
    });
    assert.ok(seconds.boot > 0 && seconds.run > 0);
  });

  test('passes a Ctrl-C on to the command', async () => {
    const script = 'trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 0.05; done';
    const child = start(['run', '--quiet', '--', 'sh', '-c', script], { detached: true });
    child.stdout?.once('data', () => process.kill(-child.pid!, 'SIGINT'));
    assert.deepEqual(await outcomeOf(child), {
      code: 3,
      stdout: 'ready\ninterrupted\n',
      stderr: '',
    });
  });

  test('ends as its reader does', async () => {
    const child = start(['run', '--quiet', '--', 'yes']);
    child.stdout?.once('data', () => child.stdout?.destroy());
    const [code] = await once(child, 'exit');
    assert.equal(code, 141);
  });

  test('tells of a kernel that stopped', async () => {
    const result = await anoleRun(['--', 'sh', '-c', 'echo c > /proc/sysrq-trigger']);
    assert.equal(result.code, 125);
    assert.match(result.stderr, /sysrq triggered crash/);
    assert.match(result.stderr, /code: SANDBOX_PANIC/);
  });

  test('tells that a command was killed for want of memory', async () => {
    const script = 'head -c 400000000 /dev/zero | tail';
    const result = await anoleRun([
      '--memory',
      '128M',
      '--',
      'sh',
      '-c',
      `exec tail /dev/zero; ${script}`,
    ]);
    assert.equal(result.code, 137);
    assert.match(result.stderr, /out of memory/);
  });
});

describe('anole run -t', needsTerminal, () => {
  test('is a usable terminal: size, resize, Ctrl-C, Ctrl-D, and restored settings', () => {
    const steps = [
      ['expect', '# $'],
      ['send', 'stty size; tty; echo $TERM\n'],
      ['expect', '24 80\r\n/dev/hvc1\r\n'],
      ['expect', '# $'],
      ['resize', 132, 50],
      ['send', 'sleep 0.5; stty size\n'],
      ['expect', '50 132\r\n'],
      ['expect', '# $'],
      ['send', 'cat\nhello\n'],
      ['expect', 'hello\r\nhello\r\n'],
      ['send', '\x03'],
      ['expect', '# $'],
      ['send', '(exit 4)\n'],
      ['expect', '# $'],
      ['send', '\x04'],
    ];
    const result = onTerminal(steps, ['run', '-t', '--', 'sh']);
    assert.equal(result.missing, undefined, JSON.stringify(result));
    assert.equal(result.status, 4);
    assert.ok(result.restored);
  });

  test('gives up at the third Ctrl-], and restores the terminal', () => {
    const steps = [
      ['expect', '# $'],
      ['send', '\x1d\x1d\x1d'],
    ];
    const result = onTerminal(steps, ['run', '-t', 'os:base']);
    assert.equal(result.status, 130, JSON.stringify(result));
    assert.ok(result.restored);
  });

  test('restores the terminal when it is told to end', () => {
    const steps = [
      ['expect', '# $'],
      ['signal', 15],
      ['expect', '.*'],
      ['signal', 1],
    ];
    const result = onTerminal(steps, ['run', '-t', '--', 'sh']);
    assert.ok(result.restored, JSON.stringify(result));
    assert.notEqual(result.status, 0);
  });
});
