import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ExecOptions, Sandbox } from '@anole/sandbox';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('commands in one sandbox', () => {
  let sandbox: Sandbox;
  let volume: string;

  before(async () => {
    volume = mkdtempSync(join(tmpdir(), 'anole-volume-'));
    writeFileSync(join(volume, 'from-host'), 'hello from the host\n');
    sandbox = await Sandbox.create('os:base', {
      volumes: [
        { host: volume, guest: '/mnt/shared' },
        { host: volume, guest: '/var/run/deep/read only', readOnly: true },
      ],
    });
  });
  after(async () => {
    await sandbox?.close();
    rmSync(volume, { recursive: true, force: true });
  });

  async function exec(argv: readonly string[], options: ExecOptions = {}) {
    const { exit, stdout, stderr } = await (await sandbox.exec(argv, options)).output();
    return { ...exit, stdout: text(stdout), stderr: text(stderr) };
  }
  const sh = (script: string, options?: ExecOptions) => exec(['sh', '-c', script], options);

  test('streams are apart and the exit code is the command’s', async () => {
    const result = await sh('echo out; echo err >&2; exit 7');
    assert.deepEqual(result, { code: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test('the kernel is Debian’s for riscv64, and programs are the image’s own', async () => {
    assert.match(
      (await exec(['uname', '-a'])).stdout,
      /^Linux anole .*Debian.* riscv64 GNU\/Linux\n$/,
    );
    assert.match((await exec(['ls', '--version'])).stdout, /GNU coreutils/);
    assert.match((await sh('readlink -f /proc/$$/exe')).stdout, /dash\n$/);
  });

  test('the C library finds the locale in the archive of the image', async () => {
    const away = 'mv /usr/lib/locale/C.utf8 /tmp && locale charmap; mv /tmp/C.utf8 /usr/lib/locale';
    assert.equal((await sh(away)).stdout, 'UTF-8\n');
  });

  test('10 MB of any bytes go through a command unchanged', async () => {
    const input = new Uint8Array(10 << 20);
    for (let at = 0, state = 1; at < input.length; at++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      input[at] = state >>> 24;
    }
    const command = await sandbox.exec(['cat'], { stdin: input });
    const { exit, stdout } = await command.output();
    assert.equal(exit.code, 0);
    assert.equal(Buffer.compare(stdout, input), 0);
  });

  test('input comes from an iterable, as it comes', async () => {
    async function* lines() {
      yield 'one\n';
      await new Promise(setImmediate);
      yield new TextEncoder().encode('zwei ü\n');
    }
    assert.equal((await exec(['cat'], { stdin: lines() })).stdout, 'one\nzwei ü\n');
  });

  test('an input that fails kills its command, whose exit tells why', async () => {
    async function* broken() {
      yield 'one\n';
      throw new Error('no more lines');
    }
    const command = await sandbox.exec(['cat'], { stdin: broken() });
    await assert.rejects(command.exit, /no more lines/);
  });

  test('a command that reads nothing does not hold its writer up', async () => {
    const result = await exec(['true'], { stdin: new Uint8Array(1 << 20) });
    assert.equal(result.code, 0);
  });

  test('without input a command reads an end of file', async () => {
    assert.equal((await exec(['cat'])).stdout, '');
  });

  test('an output that nobody reads holds its command up and no other', async () => {
    const flood = await sandbox.exec(['sh', '-c', 'yes | head -c 3000000']);
    assert.equal((await sh('echo meanwhile')).stdout, 'meanwhile\n');
    assert.equal((await flood.output()).stdout.length, 3_000_000);
  });

  test('many commands run at once', async () => {
    const numbers = Array.from({ length: 24 }, (_, index) => index);
    const results = await Promise.all(
      numbers.map((n) => sh(`read line; echo $line; exit ${n}`, { stdin: `${n}\n` })),
    );
    assert.deepEqual(
      results.map(({ code, stdout }) => [code, stdout]),
      numbers.map((n) => [n, `${n}\n`]),
    );
  });

  test('a signal that ends a command gives 128 and its number', async () => {
    for (const [name, code] of [
      ['SIGTERM', 143],
      ['SIGKILL', 137],
      ['SIGINT', 130],
    ] as const) {
      const command = await sandbox.exec(['sleep', '1000']);
      command.kill(name);
      assert.deepEqual(await command.exit, { code, signal: name });
    }
  });

  test('a signal reaches all processes of the command', async () => {
    const command = await sandbox.exec(['sh', '-c', 'sleep 1234 & echo up; wait']);
    assert.equal(text((await command.stdout.next()).value!), 'up\n');
    command.kill('SIGTERM');
    assert.equal((await command.exit).code, 143);
    assert.equal((await sh('! pgrep -f "^sleep 1234"')).code, 0);
  });

  test('a handler of a signal runs', async () => {
    const script = 'trap "echo caught; exit 9" TERM; echo ready; while :; do sleep 0.01; done';
    const command = await sandbox.exec(['sh', '-c', script]);
    assert.equal(text((await command.stdout.next()).value!), 'ready\n');
    command.kill();
    assert.equal(text((await command.stdout.next()).value!), 'caught\n');
    assert.deepEqual(await command.exit, { code: 9 });
  });

  test('a time-out kills the command and says so', async () => {
    const command = await sandbox.exec(['sleep', '1000'], { timeout: 50 });
    await assert.rejects(command.exit, { code: 'SANDBOX_TIMEOUT' });
  });

  test('an aborted signal kills the command', async () => {
    const controller = new AbortController();
    const command = await sandbox.exec(['sleep', '1000'], { signal: controller.signal });
    controller.abort(new Error('no more'));
    await assert.rejects(command.exit, /no more/);
  });

  test('what a command leaves behind does not hold its end up, and can still be read', async () => {
    const command = await sandbox.exec(['sh', '-c', '(sleep 0.3; echo late) & echo early']);
    assert.equal((await command.exit).code, 0);
    const chunks: string[] = [];
    for await (const bytes of command.stdout) chunks.push(text(bytes));
    assert.equal(chunks.join(''), 'early\nlate\n');
  });

  test('a command that is not there, or cannot be executed, is an error of its own', async () => {
    await assert.rejects(exec(['no-such-command']), { code: 'SANDBOX_NOT_FOUND' });
    await assert.rejects(exec(['/etc/passwd']), { code: 'SANDBOX_NOT_EXECUTABLE' });
    await assert.rejects(exec(['/etc']), { code: 'SANDBOX_NOT_EXECUTABLE' });
    assert.equal((await sh('no-such-command')).code, 127);
  });

  test('a script that does not say of what is the shell’s, and one of nothing fails', async () => {
    await sh(
      'echo "echo \\$0 \\$1" > /tmp/plain; echo "#!/none" > /tmp/none; chmod +x /tmp/plain /tmp/none',
    );
    const { stdout } = await exec(['/tmp/plain', 'one'], { stdin: '' });
    assert.equal(stdout, '/tmp/plain one\n');
    const { code, stderr } = await exec(['/tmp/none']);
    assert.deepEqual([code, stderr], [127, 'anole: cannot execute /tmp/none\n']);
  });

  test('arguments of more than a pipe holds arrive, and input after them', async () => {
    const long = Array.from({ length: 4 }, (_, index) => `${index}`.repeat(100_000));
    const script = 'printf %s "$@" | wc -c; cat';
    const options = { stdin: 'behind', env: { LONG: 'ä'.repeat(50_000) } };
    const { stdout } = await exec(['sh', '-c', script, 'x', ...long], options);
    assert.equal(stdout, '400000\nbehind');
  });

  test('commands run also after somebody has killed all that there is', async () => {
    await sh('trap "" TERM; kill -9 -1');
    assert.equal((await sh('echo here')).stdout, 'here\n');
    await using copy = await sandbox.fork();
    const { stdout } = await (await copy.exec(['echo', 'there'])).output();
    assert.equal(text(stdout), 'there\n');
  });

  test('options no command can have are refused before anything starts', async () => {
    await assert.rejects(exec([]), { code: 'SANDBOX_BAD_OPTION' });
    await assert.rejects(exec(['a\0b']), { code: 'SANDBOX_BAD_OPTION' });
    await assert.rejects(exec(['true'], { env: { 'A=B': '' } }), { code: 'SANDBOX_BAD_OPTION' });
    await assert.rejects(exec(['true'], { cwd: 'relative' }), { code: 'SANDBOX_BAD_OPTION' });
    await assert.rejects(exec(['true', 'x'.repeat(1 << 20)]), { code: 'SANDBOX_BAD_OPTION' });
  });

  test('variables are the image’s and the caller’s', async () => {
    const { stdout } = await exec(['env'], { env: { GREETING: 'grüß "dich"\n', HOME: '/tmp' } });
    assert.match(stdout, /^GREETING=grüß "dich"\n$/m);
    assert.match(stdout, /^HOME=\/tmp$/m);
    assert.match(stdout, /^LANG=C\.UTF-8$/m);
    assert.match(stdout, /^PATH=.*\/usr\/bin/m);
  });

  test('arguments reach the command as they are', async () => {
    const argv = ['printf', '%s|', '', 'two words', '"quoted"', '$HOME', 'new\nline', '\u{1f98e}'];
    assert.equal((await exec(argv)).stdout, '|two words|"quoted"|$HOME|new\nline|\u{1f98e}|');
  });

  test('the working directory is set, and one that is missing is refused', async () => {
    assert.equal((await exec(['pwd'], { cwd: '/usr/lib' })).stdout, '/usr/lib\n');
    await assert.rejects(exec(['pwd'], { cwd: '/nowhere' }), { code: 'SANDBOX_NO_DIRECTORY' });
  });

  test('a user is looked up in the image, with groups and home', async () => {
    assert.equal((await exec(['id', '-un'], { user: 'nobody' })).stdout, 'nobody\n');
    assert.equal((await exec(['id', '-u'], { user: '4321:8765' })).stdout, '4321\n');
    assert.equal((await exec(['id', '-G'], { user: '4321:8765' })).stdout, '8765\n');
    assert.equal((await exec(['id', '-gn'], { user: 'root:mail' })).stdout, 'mail\n');
    assert.equal((await exec(['id', '-u'])).stdout, '0\n');
    await assert.rejects(exec(['id'], { user: 'nobody-here' }), { code: 'SANDBOX_NO_USER' });
    await sh('groupadd -g 777 lizards 2>/dev/null || echo "lizards:x:777:daemon" >> /etc/group');
    assert.match((await exec(['id', '-G'], { user: 'daemon' })).stdout, /\b777\b/);
    assert.equal((await sh('cat /etc/shadow', { user: 'nobody' })).code, 1);
  });

  test('files written by one command are there for the next, and not in the image', async () => {
    await sh('echo kept > /root/note');
    assert.equal((await exec(['cat', '/root/note'])).stdout, 'kept\n');
  });

  test('a volume is the host’s directory, written through', async () => {
    assert.equal((await exec(['cat', '/mnt/shared/from-host'])).stdout, 'hello from the host\n');
    await sh('echo hello from the guest > /mnt/shared/from-guest; sync');
    assert.equal(readFileSync(join(volume, 'from-guest'), 'utf8'), 'hello from the guest\n');
    writeFileSync(join(volume, 'later'), 'later\n');
    assert.equal((await exec(['cat', '/mnt/shared/later'])).stdout, 'later\n');
  });

  test('a read-only volume refuses changes, also at a path behind links and with spaces', async () => {
    const place = '/var/run/deep/read only';
    assert.equal((await exec(['cat', `${place}/from-host`])).stdout, 'hello from the host\n');
    const { code, stderr } = await sh(`echo x > '${place}/new'`);
    assert.notEqual(code, 0);
    assert.match(stderr, /Read-only file system/);
  });

  test('the system below is whole: /proc, /sys, /dev, pseudo-terminals, loopback', async () => {
    const checks =
      'test -r /proc/self/stat && test -d /sys/class && test -c /dev/null && test -c /dev/ptmx';
    assert.equal(
      (await sh(`${checks} && test -d /dev/pts && test -w /tmp && test -w /dev/shm`)).code,
      0,
    );
    assert.equal((await exec(['cat', '/sys/class/net/lo/operstate'])).stdout, 'unknown\n');
    assert.match((await exec(['df', '/'])).stdout, /^root .* \/$/m);
    assert.equal((await sh('echo a > /dev/stderr; echo b > /dev/stdout')).stdout, 'b\n');
  });

  test('orphans are collected', async () => {
    await sh('for i in 1 2 3 4 5; do (sleep 0.05 &) ; done');
    const left = 'ps -eo stat=,args= | grep -qE "^Z|sleep 0[.]05"';
    const { code } = await sh(`while ${left}; do sleep 0.1; done`, { timeout: 300_000 });
    assert.equal(code, 0);
  });

  test('a terminal has its size, follows it, and does job control', async () => {
    const started = Promise.withResolvers<void>();
    const command = await sandbox.exec(['bash', '--norc', '-i'], {
      tty: { columns: 101, rows: 37 },
      env: { PS1: '> ' },
      stdin: answers(),
    });
    started.resolve();
    let shown = '';
    const until = async (pattern: RegExp) => {
      while (!pattern.test(shown)) {
        const step = await command.stdout.next();
        assert.ok(!step.done, `the terminal ended; it showed ${JSON.stringify(shown)}`);
        shown += text(step.value);
      }
      shown = '';
    };
    /** Types only when the terminal has its settings back, and echoes: bash has run a command. */
    async function* intoCat() {
      yield 'echo ready; cat\n';
      await until(/[\r\n]ready\r\n/);
      yield 'hello\n';
      await until(/hello\r\n[\s\S]*hello\r\n/);
    }
    async function* answers() {
      await started.promise;
      await until(/> $/);
      yield 'stty size; tty\n';
      await until(/37 101\r\n\/dev\/hvc\d\r\n[\s\S]*> $/);
      command.resize({ columns: 64, rows: 20 });
      yield 'sleep 0.1; stty size\n';
      await until(/20 64\r\n[\s\S]*> $/);
      yield* intoCat();
      yield '\x03';
      await until(/\^C[\s\S]*> $/);
      yield* intoCat();
      yield '\x1a';
      await until(/Stopped[\s\S]*> $/);
      yield 'kill %1; exit 5\n';
      await until(/exit/);
      yield 'exit 5\n';
    }
    assert.equal((await command.exit).code, 5);
  });

  test('a terminal serves one command after another, also as another user', async () => {
    for (const user of ['root', 'nobody', 'root']) {
      const command = await sandbox.exec(['sh', '-c', 'id -un; stty -a > /dev/tty; test -t 0'], {
        tty: true,
        user,
      });
      const { exit, stdout } = await command.output();
      assert.equal(exit.code, 0);
      assert.match(text(stdout), new RegExp(`^${user}\r\n[\\s\\S]* icanon [\\s\\S]* echo `));
    }
  });

  test('terminals are limited to what the sandbox has', async () => {
    const sleepers = await Promise.all(
      [1, 2].map(() => sandbox.exec(['sleep', '1000'], { tty: true })),
    );
    await assert.rejects(sandbox.exec(['true'], { tty: true }), { code: 'SANDBOX_RESOURCES' });
    for (const sleeper of sleepers) sleeper.kill('SIGKILL');
    await Promise.all(sleepers.map((sleeper) => sleeper.exit));
    assert.equal((await (await sandbox.exec(['true'], { tty: true })).exit).code, 0);
  });

  test('closing ends what runs and gives volumes what was written', async () => {
    const sleeper = await sandbox.exec(['sleep', '1000']);
    await sh('echo last > /mnt/shared/last');
    await sandbox.close();
    await assert.rejects(sleeper.exit, { code: 'SANDBOX_CLOSED' });
    await assert.rejects(sandbox.exec(['true']), { code: 'SANDBOX_CLOSED' });
    assert.equal(readFileSync(join(volume, 'last'), 'utf8'), 'last\n');
  });
});
