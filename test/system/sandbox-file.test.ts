import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sandbox } from '@anole/sandbox';
import { hasOpen } from './has-open.ts';
import { output } from './in-sandbox.ts';

const decoder = new TextDecoder();
const directory = mkdtempSync(join(tmpdir(), 'anole-file-'));
const at = (name: string) => join(directory, name);
after(() => rmSync(directory, { recursive: true }));

/** Runs a program of ours in a process of its own. */
function run(program: string): ChildProcess {
  const source = `import { Sandbox, type SandboxCommand } from '@anole/sandbox';\n${program}`;
  const options = ['-C', 'anole-source', '--disable-warning=ExperimentalWarning'];
  return spawn(process.execPath, [...options, '--input-type=module-typescript', '-e', source], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function outputOf(program: string): Promise<string> {
  const child = run(program);
  let text = '';
  child.stdout!.on('data', (bytes: Buffer) => {
    text += bytes.toString();
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  return text;
}

describe('a sandbox in a file', () => {
  let origin: Sandbox;
  before(async () => {
    origin = await Sandbox.create('os:base', {
      hostname: 'origin',
      memoryMiB: 128,
      maxProcesses: 50,
    });
  });
  after(() => origin.close());

  it('goes on with its files, and is saved and forked again', async () => {
    await output(
      origin,
      `mkdir -p /work; seq 20000 > /work/a; echo old > /work/b; rm /etc/motd
       echo 0123456789abcdef0123456789abcdef > /etc/machine-id; ls -i /work/a > /inode`,
    );
    await origin.snapshot(at('one'));
    assert.equal(statSync(at('one')).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['one']);
    await output(origin, 'echo new > /work/b');
    await using copy = await Sandbox.restore(at('one'));
    const look =
      'tail -1 /work/a; cat /work/b; test -e /etc/motd || echo gone; ls -i /work/a | cmp - /inode';
    assert.equal(await output(copy, look), '20000\nold\ngone\n');
    await output(copy, 'echo 20001 >> /work/a');
    await copy.snapshot(at('again'));
    await using again = await Sandbox.restore(at('again'), { verify: true });
    await using fork = await again.fork();
    rmSync(at('again'));
    for (const each of [again, fork]) {
      assert.equal(await output(each, 'tail -1 /work/a; wc -l < /work/a'), '20001\n20001\n');
    }
  });

  it('is restored many times, each with a name, an id, random numbers of its own and the time', async () => {
    const copies = await Promise.all([
      Sandbox.restore(at('one')),
      Sandbox.restore(at('one')),
      Sandbox.restore(at('one'), { hostname: 'x' }),
    ]);
    try {
      const script =
        'hostname; cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1; date +%s';
      const answers = [];
      for (const each of [origin, ...copies]) {
        const before = Date.now() / 1000;
        const [name, id, random, time] = (await output(each, script)).split('\n');
        const now = Number(time);
        assert.ok(before - 30 < now && now < Date.now() / 1000 + 30, `it is ${time} there`);
        answers.push({ name, id, random });
      }
      assert.deepEqual([answers[0]!.name, answers[3]!.name], ['origin', 'x']);
      for (const what of ['name', 'id', 'random'] as const) {
        assert.equal(new Set(answers.map((answer) => answer[what])).size, 4, what);
      }
    } finally {
      for (const copy of copies) await copy.close();
    }
  });

  it('keeps its limits', async () => {
    await using copy = await Sandbox.restore(at('one'), { lifetime: 120_000 });
    const bomb = 'i=0; while [ $i -lt 80 ]; do sleep 100 > /dev/null 2>&1 & i=$((i+1)); done';
    const { exit } = await (await copy.exec(['sh', '-c', bomb])).output();
    assert.equal(exit.outOfProcesses, true);
    assert.equal((await copy.stats()).disk.max, (await origin.stats()).disk.max);
  });

  it('goes on in another process: an interpreter with its state and a file without a name', async () => {
    const program = `
import os, sys
numbers = [n * n for n in range(100000)]
held = open('/tmp/held', 'w+')
os.unlink('/tmp/held')
held.write('unsaved '); held.flush()
print('ready', flush=True)
for line in sys.stdin: exec(line)`;
    {
      await using sandbox = await Sandbox.create('os:python', { memoryMiB: 256 });
      const input = new TransformStream<Uint8Array>();
      const python = await sandbox.exec(['python3', '-c', program], { stdin: input.readable });
      await python.stdout.next();
      await sandbox.snapshot(at('python'));
    }
    const text = await outputOf(`
      await using sandbox = await Sandbox.restore(${JSON.stringify(at('python'))});
      const [{ id, argv }] = sandbox.commands;
      const stdin = 'held.write("goes on"); held.seek(0); print(held.read(), sum(numbers), flush=True)\\n';
      const { exit, stdout } = await sandbox.attach({ id }, { stdin }).output();
      console.log(argv[0], exit.code, new TextDecoder().decode(stdout).trim());`);
    assert.equal(text, 'python3 0 unsaved goes on 333328333350000\n');
  });

  it('reads what is touched, not what is there', async () => {
    const hog =
      'b = bytearray(b"anole!" * 15_000_000); print("ready", flush=True); import time; time.sleep(1e6)';
    {
      await using sandbox = await Sandbox.create('os:python', { memoryMiB: 512 });
      const python = await sandbox.exec(['python3', '-c', hog]);
      await python.stdout.next();
      await output(sandbox, 'head -c 30000000 /dev/urandom > /root/big');
      await sandbox.snapshot(at('big'));
    }
    assert.ok(statSync(at('big')).size > 130_000_000);
    copyFileSync(at('one'), at('other'));
    const text = await outputOf(`
      import { readFileSync } from 'node:fs';
      const bytes = () => Number(/^rchar: (\\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))[1]);
      async function restore(path) {
        const before = bytes();
        await using sandbox = await Sandbox.restore(path);
        await (await sandbox.exec(['head', '-c', '1', '/etc/hostname'])).output();
        return bytes() - before;
      }
      const [other, small, big] = ${JSON.stringify([at('other'), at('one'), at('big')])};
      // Of a file that was restored before, what is touched is kept; and code is loaded once.
      await restore(other);
      console.log(JSON.stringify([await restore(small), await restore(big)]));`);
    const [small, big] = JSON.parse(text) as [number, number];
    // The table of pages is read, 8 bytes for each, and what the guest's kernel touches of its own tables.
    assert.ok(big < 2 * small, `${small} and ${big} bytes were read`);
    rmSync(at('big'));
    rmSync(at('other'));
  });

  it('is not there where the process was killed that saved it, and the former one is whole', async () => {
    mkdirSync(at('killed'));
    const path = at('killed/file');
    /** Has a process save, and kills it in the middle; false where it had saved all by then. */
    const killSaving = async (): Promise<boolean> => {
      const child = run(`
        await using sandbox = await Sandbox.create('os:base', { memoryMiB: 128 });
        await (await sandbox.exec(['sh', '-c', 'head -c 30000000 /dev/urandom > /big'])).output();
        await sandbox.snapshot(${JSON.stringify(path)});
        console.log('saved');
        await new Promise(() => {});`);
      let isSaved = false;
      child.stdout!.on('data', () => {
        isSaved = true;
      });
      while (!hasOpen(child.pid!, at('killed')) && !isSaved) {
        assert.equal(child.exitCode, null);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      child.kill('SIGKILL');
      await once(child, 'close');
      const left = readdirSync(at('killed')).filter((name) => name !== 'file');
      assert.deepEqual(left, []);
      return !isSaved;
    };
    while (!(await killSaving())) rmSync(path);
    assert.ok(!existsSync(path));
    await origin.snapshot(path);
    while (!(await killSaving())) await origin.snapshot(path);
    await using copy = await Sandbox.restore(path, { verify: true });
    assert.equal(await output(copy, 'test -e /big || hostname | cut -c 1-6'), 'origin\n');
  });
});

describe('what a saved sandbox may reach', () => {
  it('are directories that are given, not those that the file names', async () => {
    for (const name of ['v', 'r', 'w']) {
      mkdirSync(at(name));
      writeFileSync(join(at(name), 'name'), `${name}\n`);
    }
    {
      await using sandbox = await Sandbox.create('os:base', {
        memoryMiB: 128,
        volumes: [
          { host: at('v'), guest: '/v' },
          { host: at('r'), guest: '/r', readOnly: true },
        ],
      });
      assert.equal(await output(sandbox, 'cat /v/name /r/name'), 'v\nr\n');
      await sandbox.snapshot(at('volumes'));
    }
    const read = { host: at('w'), guest: '/r' };
    await assert.rejects(Sandbox.restore(at('volumes')), { code: 'SANDBOX_BAD_VOLUME' });
    for (const volumes of [
      [read],
      [read, { host: at('gone'), guest: '/v' }],
      [{ ...read, guest: '/x' }],
    ]) {
      await assert.rejects(Sandbox.restore(at('volumes'), { volumes }), {
        code: 'SANDBOX_BAD_VOLUME',
      });
    }
    await using given = await Sandbox.restore(at('volumes'), {
      volumes: [read, { host: at('w'), guest: '/v' }],
    });
    const script = 'cat /v/name /r/name; echo new > /v/new; echo new > /r/new || echo refused';
    assert.equal(await output(given, script), 'w\nw\nrefused\n');
    assert.equal(readFileSync(join(at('w'), 'new'), 'utf8'), 'new\n');
    await using trusted = await Sandbox.restore(at('volumes'), { trust: true });
    assert.equal(await output(trusted, 'cat /v/name /r/name'), 'v\nr\n');
  });

  it('is no network by itself; connections have ended, and programs notice', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write('hello');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const network = { allow: [`127.0.0.1:${port}`] };
    try {
      {
        await using sandbox = await Sandbox.create('os:python', { memoryMiB: 256, network });
        const script = `
import socket, time
one = socket.create_connection(('192.0.2.1', ${port}), 20)
print(one.recv(5).decode(), flush=True)
one.settimeout(60)
try: print(one.recv(1))
except ConnectionResetError: print('reset', flush=True)
try: print(socket.create_connection(('192.0.2.1', ${port}), 20).recv(5).decode())
except OSError as error: print('closed')
`;
        const python = await sandbox.exec(['python3', '-c', script]);
        assert.equal(decoder.decode((await python.stdout.next()).value), 'hello\n');
        await sandbox.snapshot(at('network'));
      }
      for (const [options, last] of [
        [{}, 'closed'],
        [{ network }, 'hello'],
        [{ trust: true }, 'hello'],
      ] as const) {
        await using copy = await Sandbox.restore(at('network'), options);
        const { exit, stdout } = await copy.attach(copy.commands[0]!).output();
        assert.equal(decoder.decode(stdout), `reset\n${last}\n`);
        assert.equal(exit.code, 0);
      }
      await assert.rejects(Sandbox.restore(at('one'), { network: true }), {
        code: 'SANDBOX_BAD_OPTION',
      });
    } finally {
      server.close();
    }
  });
});
