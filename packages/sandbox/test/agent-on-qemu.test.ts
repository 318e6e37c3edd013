import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fetchKernel } from '@anole/compose';
import type { SpawnRequest } from '../src/agent/wire.ts';
import { AgentClient } from '../src/client/agent-client.ts';
import { SandboxCommand } from '../src/command.ts';
import { type CpioEntry, writeCpio } from '../src/guest/cpio.ts';
import { ensureInitramfs } from '../src/guest/initramfs.ts';

const qemu = 'qemu-system-riscv64';
const hasQemu = spawnSync(qemu, ['--version']).status === 0;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A root made of the initramfs itself: QEMU alone has no virtio-fs. */
function rootArchive(): Uint8Array {
  const bytes = (content: string) => new TextEncoder().encode(content);
  const directory = (path: string): CpioEntry => ({ path, type: 'directory', mode: 0o755 });
  const file = (path: string, content: string): CpioEntry => ({
    path,
    type: 'file',
    mode: 0o644,
    bytes: bytes(content),
  });
  const link = (name: string): CpioEntry => ({
    path: `bin/${name}`,
    type: 'symlink',
    mode: 0o777,
    target: '/anole/busybox',
  });
  const mounts = [
    '/ /newroot none bind',
    'proc /newroot/proc proc defaults',
    'sysfs /newroot/sys sysfs defaults',
    'devtmpfs /newroot/dev devtmpfs defaults',
    '/anole /newroot/run/anole none bind',
  ];
  return writeCpio([
    ...['bin', 'proc', 'sys', 'run', 'run/anole', 'etc'].map(directory),
    ...['sh', 'cat', 'echo', 'id', 'sleep', 'stty', 'tty', 'true', 'uname'].map(link),
    file('etc/fstab', mounts.map((line) => `${line} 0 0\n`).join('')),
    file('etc/passwd', 'root:x:0:0::/:/bin/sh\nlizard:x:1000:1000::/:/bin/sh\n'),
    file('etc/group', 'root:x:0:\nlizard:x:1000:\nzoo:x:7:lizard\n'),
  ]);
}

describe('the agent in a QEMU machine', { skip: hasQemu ? false : `${qemu} is missing` }, () => {
  let directory: string;
  let machine: ChildProcess | undefined;
  let servers: Server[] = [];
  let client: AgentClient;
  let terminal: Socket;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'anole-qemu-'));
    const [{ path: kernel }, initramfs] = [await fetchKernel(), await ensureInitramfs()];
    const initrd = join(directory, 'initrd');
    writeFileSync(initrd, Buffer.concat([readFileSync(initramfs), rootArchive()]));
    const sockets = ['terminal', 'agent'].map((name) => listen(join(directory, name)));
    servers = sockets.map(({ server }) => server);
    machine = spawn(
      qemu,
      [
        ...['-M', 'virt', '-m', '256', '-display', 'none', '-serial', 'none', '-monitor', 'none'],
        ...['-no-reboot', '-kernel', kernel, '-initrd', initrd],
        ...['-append', 'quiet panic=-1 cryptomgr.notests', '-device', 'virtio-serial-pci'],
        ...['-chardev', `socket,id=terminal,path=${join(directory, 'terminal')}`],
        ...['-device', 'virtconsole,chardev=terminal'],
        ...['-chardev', `socket,id=agent,path=${join(directory, 'agent')}`],
        ...['-device', 'virtserialport,chardev=agent,name=anole.agent'],
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    const [terminalSocket, agent] = await Promise.all(sockets.map(({ connected }) => connected));
    terminal = terminalSocket!;
    client = new AgentClient({
      send: (bytes) => void agent!.write(bytes),
      receive: (handler) =>
        void agent!.on('data', (data: Buffer) => handler(Uint8Array.from(data))),
    });
    await client.ready;
  });
  after(() => {
    machine?.kill('SIGKILL');
    for (const server of servers) server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function exec(argv: string[], more: Partial<SpawnRequest> = {}, input?: string) {
    const guest = client.spawn({ argv, env: {}, cwd: '/', ...more, stdin: input !== undefined });
    await guest.started;
    const options = input === undefined ? {} : { stdin: input };
    const { exit, stdout, stderr } = await new SandboxCommand(guest, options).output();
    return { ...exit, stdout: text(stdout), stderr: text(stderr) };
  }

  test('commands have streams, codes and signals of their own', async () => {
    const result = await exec(['sh', '-c', 'cat; echo err >&2; exit 7'], {}, 'in\n');
    assert.deepEqual(result, { code: 7, stdout: 'in\n', stderr: 'err\n' });
    assert.equal((await exec(['sh', '-c', 'kill -TERM $$'])).code, 143);
    await assert.rejects(exec(['nothing']), { code: 'SANDBOX_NOT_FOUND' });
  });

  test('many run at once', async () => {
    const all = Array.from({ length: 12 }, (_, n) =>
      exec(['sh', '-c', `read x; echo $x; exit ${n}`], {}, `${n}\n`),
    );
    const results = await Promise.all(all);
    assert.deepEqual(
      results.map(({ code, stdout }) => [code, stdout]),
      results.map((_, n) => [n, `${n}\n`]),
    );
  });

  test('users have their groups', async () => {
    assert.equal((await exec(['id', '-G'], { user: 'lizard' })).stdout, '1000 7\n');
  });

  test('a console port is a terminal, which the agent resizes', async () => {
    // The command may be sooner than its size: until then stty fails.
    const resized = 'i=0; until [ "$(stty size)" = "30 90" ] || [ $i = 500 ]; do i=$((i+1)); done';
    const guest = client.spawn({
      argv: ['sh', '-c', `${resized}; stty size; tty`],
      env: {},
      cwd: '/',
      stdin: false,
      terminal: 'hvc0',
    });
    await guest.started;
    guest.resize(90, 30);
    let shown = '';
    terminal.on('data', (data) => {
      shown += data;
    });
    assert.deepEqual(await guest.exit, { code: 0 });
    while (!shown.includes('hvc0\r\n'))
      await new Promise((resolve) => terminal.once('data', resolve));
    assert.match(shown, /30 90\r\n\/dev\/hvc0\r\n/);
  });

  test('the guest can be asked to write all it has', async () => {
    await client.sync();
  });
});

function listen(path: string): { server: Server; connected: Promise<Socket> } {
  const server = createServer();
  const connected = new Promise<Socket>((resolve) => server.once('connection', resolve));
  server.listen(path);
  return { server, connected };
}
