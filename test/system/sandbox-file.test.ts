import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { openSnapshot } from '@anole/machine';
import { Sandbox, type SandboxCommand } from '@anole/sandbox';
import { code } from '../../packages/machine/src/platform/testing/programs.ts';
import { elf } from '../../packages/sandbox/src/guest/elf.ts';
import { SavedFile } from '../../packages/sandbox/src/saved/read.ts';

const decoder = new TextDecoder();
const directory = mkdtempSync(join(tmpdir(), 'anole-file-'));
const at = (name: string) => join(directory, name);
after(() => rmSync(directory, { recursive: true }));

async function output(sandbox: Sandbox, script: string): Promise<string> {
  const { exit, stdout, stderr } = await (await sandbox.exec(['sh', '-c', script])).output();
  assert.equal(exit.code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}

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

/** Whether a process has a file of a directory open, with a name or without. */
function hasOpen(pid: number, directory: string): boolean {
  try {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return links.some((link) => link.startsWith(`${directory}/`));
  } catch {
    // One was closed meanwhile, or the process ended.
    return false;
  }
}

/** Where sections of a file are, by their numbers. */
function sectionsOf(file: Buffer): Map<number, { offset: number; length: number }> {
  const entries = Array.from({ length: file.readUInt32LE(12) }, (_, index) => 64 + 24 * index);
  return new Map(
    entries.map((entry) => [
      file.readUInt32LE(entry),
      {
        offset: Number(file.readBigUInt64LE(entry + 8)),
        length: Number(file.readBigUInt64LE(entry + 16)),
      },
    ]),
  );
}

const section = { description: 1, overlay: 3, chunks: 5, machine: 6 };

/** Changes a bit of a file, and does something with it before it is changed back. */
async function withFlipped<T>(path: string, position: number, act: () => Promise<T>): Promise<T> {
  const file = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  const flip = () => {
    readSync(file, byte, 0, 1, position);
    byte[0]! ^= 0x10;
    writeSync(file, byte, 0, 1, position);
  };
  flip();
  try {
    return await act();
  } finally {
    flip();
    closeSync(file);
  }
}

/** An input that neither ends nor says anything. */
async function* never(): AsyncGenerator<string> {
  await new Promise(() => {});
  yield '';
}

/**
 * Says that it runs, draws eight random bytes again and again, and notes the time before each; once it is given
 * something to read, it draws some 300 more, and prints all that it noted, 16 bytes each.
 */
function drawProgram(): Uint8Array {
  const [records, address] = [0x1_0000, 0x100_0000];
  const source = `
    lui s0, ${(address >>> 12) + 1}
    addi s1, s0, 0
    lui s2, ${(16 * records) >>> 12}
    add s2, s2, s0
    addi s3, zero, 20
    addi a0, zero, 1
    addi a1, s0, 0
    addi a2, zero, 1
    addi a7, zero, 64
    ecall
    draw: csrrs t0, 0xc01, zero
    sd t0, 0(s1)
    addi a0, s1, 8
    addi a1, zero, 8
    addi a2, zero, 0
    addi a7, zero, 278
    ecall
    addi s1, s1, 16
    andi t0, s1, 255
    bne t0, zero, draw
    addi sp, sp, -32
    sw zero, 0(sp)
    addi t0, zero, 1
    sw t0, 4(sp)
    sd zero, 16(sp)
    sd zero, 24(sp)
    addi a0, sp, 0
    addi a1, zero, 1
    addi a2, sp, 16
    bltu s1, s2, look
    addi a2, zero, 0
    look: addi a3, zero, 0
    addi a7, zero, 73
    ecall
    addi sp, sp, 32
    beq a0, zero, draw
    bgeu s1, s2, print
    addi s3, s3, -1
    bne s3, zero, draw
    print: sub a2, s1, s0
    addi a0, zero, 1
    addi a1, s0, 0
    addi a7, zero, 64
    ecall
    add s0, s0, a0
    bltu s0, s1, print
    addi a0, zero, 0
    addi a7, zero, 93
    ecall`;
  const bytes = code(source);
  const words = [...new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)];
  return elf(words, { address, size: 4096 + 16 * records });
}

function drawsOf(bytes: Uint8Array) {
  // The first byte said that it runs; a copy does not say it again.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length >>> 4 }, (_, index) => ({
    time: Number(view.getBigUint64(16 * index, true)),
    value: view.getBigUint64(16 * index + 8, true),
  }));
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

  for (const cpus of [1, 2]) {
    it(`has programs that draw random numbers all the while draw others in each copy, with cpus: ${cpus}`, async () => {
      await using sandbox = await Sandbox.create('os:base', { memoryMiB: 128, cpus });
      await sandbox.files.write('/draw', drawProgram(), { mode: 0o755 });
      const drawing: SandboxCommand[] = [];
      for (let count = 0; count < cpus; count++) {
        const command = await sandbox.exec(['/draw'], { stdin: never() });
        await command.stdout.next();
        drawing.push(command);
      }
      await sandbox.snapshot(at('drawing'));
      using file = new SavedFile(at('drawing'));
      const { ticks } = openSnapshot(file.machine());
      await using one = await Sandbox.restore(at('drawing'));
      await using other = await Sandbox.restore(at('drawing'));
      const outputs = [one, other].map((copy) =>
        Promise.all(drawing.map((each) => copy.attach(each, { stdin: '\n' }).output())),
      );
      const [a, b] = (await Promise.all(outputs)).map((commands) =>
        commands.flatMap(({ stdout }) => drawsOf(stdout)),
      );
      const known = new Set(a!.map(({ value }) => value));
      const shared = b!.filter(({ value }) => known.has(value));
      assert.ok(shared.length > 0, 'they share what was drawn before');
      assert.ok(b!.filter(({ time }) => time > ticks).length > 100);
      const late = shared.filter(({ time }) => time > ticks).map(({ time }) => time - ticks);
      assert.deepEqual(late, [], 'ticks after the save at which both drew the same');
      rmSync(at('drawing'));
    });
  }

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

describe('a file that is not what was saved', () => {
  const refused = /^(SANDBOX_FILE|MACHINE_SNAPSHOT)_(DAMAGED|FOREIGN|VERSION)$/;
  const refuses = (path: string, code: RegExp = refused, options = {}) =>
    assert.rejects(Sandbox.restore(path, { verify: true, ...options }), (error) => {
      assert.match(AnoleError.is(error) ? error.code : String(error), code);
      return true;
    });

  it('is refused, whichever byte changed', async () => {
    const file = readFileSync(at('one'));
    const sections = sectionsOf(file);
    const head = 64 + 24 * sections.size;
    const refusesFlipped = (position: number) =>
      withFlipped(at('one'), position, () => refuses(at('one')));
    for (let position = 0; position < head; position++) await refusesFlipped(position);
    for (const { offset, length } of sections.values()) {
      await refusesFlipped(offset);
      await refusesFlipped(offset + length - 1);
    }
    const machine = sections.get(section.machine)!.offset;
    for (let part = 0; part < 12; part++) {
      const body = machine + Math.floor(((file.length - machine) * part) / 12);
      await refusesFlipped(body);
    }
    for (let position = machine; position < machine + 300; position += 7) {
      await refusesFlipped(position);
    }
    for (let position = machine - 1; position > head; position -= 4099) {
      await refusesFlipped(position);
    }
  });

  it('is refused where it was cut, or is something else', async () => {
    const { length } = readFileSync(at('one'));
    for (const size of [length - 1, length >> 1, 5000, 208, 100, 64, 9, 1, 0]) {
      copyFileSync(at('one'), at('cut'));
      truncateSync(at('cut'), size);
      await refuses(at('cut'));
    }
    writeFileSync(
      at('cut'),
      'some text of no matter what, long enough to be a header of such a file',
    );
    await refuses(at('cut'), /^SANDBOX_FILE_FOREIGN$/);
    await refuses(at('missing'), /^HOST_NOT_FOUND$/);
    const newer = readFileSync(at('one'));
    newer[8] = 3;
    writeFileSync(at('cut'), newer);
    await refuses(at('cut'), /^SANDBOX_FILE_VERSION$/);
  });

  it('ends with a code where a damaged part is met only later', async () => {
    const file = readFileSync(at('one'));
    const sections = sectionsOf(file);
    const { offset } = sections.get(section.machine)!;
    file.fill(0xff, offset + (2 << 20));
    writeFileSync(at('flipped'), file);
    await refuses(at('flipped'), /^MACHINE_SNAPSHOT_DAMAGED$/, { verify: false });
    const chunks = sections.get(section.chunks)!;
    const code = await withFlipped(at('one'), chunks.offset + (chunks.length >> 1), async () => {
      await using copy = await Sandbox.restore(at('one'));
      const { exit } = await (
        await copy.exec(['sh', '-c', 'echo 3 > /proc/sys/vm/drop_caches; cat /work/* > /dev/null'])
      ).output();
      return exit.code;
    });
    assert.equal(code, 1);
  });

  it('is refused over another image, and takes its own where that is now', async () => {
    const one = readFileSync(at('one'));
    const { offset, length } = sectionsOf(one).get(section.description)!;
    const about = JSON.parse(one.toString('utf8', offset, offset + length));
    copyFileSync(about.root.path, at('image'));
    {
      await using sandbox = await Sandbox.create(at('image'), { memoryMiB: 128 });
      await output(sandbox, 'echo kept > /kept');
      await sandbox.snapshot(at('other'));
    }
    truncateSync(at('image'), statSync(at('image')).size - 4096);
    await refuses(at('other'), /^SANDBOX_FILE_FOREIGN$/);
    rmSync(at('image'));
    await refuses(at('other'), /^SANDBOX_BAD_IMAGE$/);
    await using copy = await Sandbox.restore(at('other'), { image: about.root.path });
    assert.equal(await output(copy, 'cat /kept'), 'kept\n');
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
