import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Limit, Sandbox, type SandboxOptions } from '@anole/sandbox';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function sh(sandbox: Sandbox, script: string) {
  const { exit, stdout, stderr } = await (await sandbox.exec(['sh', '-c', script])).output();
  return { ...exit, out: text(stdout) + text(stderr) };
}

/** A sandbox, and the limits it met. */
async function watched(options: SandboxOptions) {
  const sandbox = await Sandbox.create('os:base', options);
  const met: Limit[] = [];
  sandbox.on('limit', (limit) => met.push(limit));
  return { sandbox, met };
}

describe('what a hostile guest can do ends at a limit', () => {
  let neighbour: Sandbox;
  before(async () => {
    neighbour = await Sandbox.create('os:base', { memoryMiB: 128 });
  });
  after(() => neighbour?.close());
  const neighbourIsWell = async () => {
    assert.equal((await sh(neighbour, 'echo well')).out, 'well\n');
  };

  test('a fork bomb has its processes, and the sandbox still runs commands', async () => {
    const { sandbox, met } = await watched({ maxProcesses: 60, memoryMiB: 256 });
    await using _ = sandbox;
    const bomb = await sandbox.exec(['sh', '-c', 'b() { sleep 1000 & b & b; }; b']);
    void bomb.output().catch(() => {});
    while (!met.includes('processes')) await delay(20);
    // That the bound was met has been told; what is refused a process ends, so they may be fewer now.
    const { processes } = await sandbox.stats();
    assert.ok(processes !== undefined && processes > 1 && processes <= 61, `${processes}`);
    const command = await sandbox.exec(['echo', 'still here']);
    assert.equal(text((await command.output()).stdout), 'still here\n');
    await neighbourIsWell();
  });

  test('a command that is refused a process says so', async () => {
    await using sandbox = await Sandbox.create('os:base', { maxProcesses: 3 });
    const { code, outOfProcesses } = await sh(
      sandbox,
      // However long starting them takes, they run at the same time; and their output is nobody's.
      'for i in 1 2 3 4; do sleep 1000 > /dev/null 2>&1 & done; wait',
    );
    assert.notEqual(code, 0);
    assert.equal(outOfProcesses, true);
  });

  test('a memory hog is killed, and the sandbox goes on', async () => {
    const { sandbox, met } = await watched({ memoryMiB: 128 });
    await using _ = sandbox;
    const hog = await sh(sandbox, 'exec tail /dev/zero');
    assert.equal(hog.outOfMemory, true);
    assert.ok(met.includes('memory'));
    assert.equal((await sh(sandbox, 'echo on')).out, 'on\n');
    await neighbourIsWell();
  });

  test('a disk filler meets a full disk', async () => {
    const { sandbox, met } = await watched({ maxWritten: 8 << 20 });
    await using _ = sandbox;
    const { out } = await sh(sandbox, 'head -c 20M /dev/zero > /root/big; sync; wc -c < /root/big');
    assert.match(out, /No space left|Input\/output error/);
    assert.ok(met.includes('disk'));
    const { disk } = await sandbox.stats();
    assert.equal(disk.max, 8 << 20);
    assert.ok(disk.written <= disk.max && disk.written > 4 << 20, `${disk.written}`);
    assert.equal(
      (await sh(sandbox, 'rm /root/big; echo small > /root/small; cat /root/small')).out,
      'small\n',
    );
  });

  test('many small files count, too', async () => {
    await using sandbox = await Sandbox.create('os:base', { maxWritten: 1 << 20 });
    const { out } = await sh(
      sandbox,
      'i=0; while true > /root/$i; do i=$((i+1)); done; echo made $i',
    );
    const made = Number(/made (\d+)/.exec(out)?.[1]);
    assert.ok(made > 200 && made < 1024, out);
  });

  test('an output flood ends the command', async () => {
    const { sandbox, met } = await watched({});
    await using _ = sandbox;
    const flood = await sandbox.exec(['yes'], { maxOutput: 1 << 20 });
    let size = 0;
    for await (const bytes of flood.stdout) size += bytes.length;
    await assert.rejects(flood.exit, { code: 'SANDBOX_OUTPUT' });
    assert.ok(size >= 1 << 20 && size < 4 << 20, `${size}`);
    const kept = await sandbox.exec(['sh', '-c', 'yes >&2']);
    await assert.rejects(kept.output({ maxOutput: 100_000 }), { code: 'SANDBOX_OUTPUT' });
    const few = await sandbox.exec(['echo', 'few'], { maxOutput: 4 });
    assert.equal((await few.output()).exit.code, 0);
    assert.deepEqual(met, ['output', 'output']);
  });

  test('an endless loop has its time', async () => {
    await using sandbox = await Sandbox.create('os:base', { cpuShare: 0.1 });
    const loop = await sandbox.exec(['sh', '-c', 'while :; do :; done'], { timeout: 1500 });
    await assert.rejects(loop.exit, { code: 'SANDBOX_TIMEOUT' });
    sandbox.setCpuShare(undefined);
    assert.equal((await sh(sandbox, 'echo on')).out, 'on\n');
  });

  test('an endless loop has its share of a processor', async () => {
    await using sandbox = await Sandbox.create('os:base', { cpuShare: 0.1 });
    const loop = await sandbox.exec(['sh', '-c', 'while :; do :; done']);
    const before = (await sandbox.stats()).cpu;
    const begun = performance.now();
    // A tenth, what may be taken at once, and a slice. On a busy computer a slice may take long; then
    // the guest rests until it has its share again, or it does not get more than that for a while anyway.
    // Without a share this would never come true.
    for (;;) {
      await delay(100);
      const { cpu } = await sandbox.stats();
      const elapsed = performance.now() - begun;
      const used = cpu.used - before.used;
      const isBounded = used < elapsed * 0.1 + 120 && cpu.throttled > 500;
      if (elapsed > 1500 && isBounded) break;
      assert.ok(elapsed < 300_000, `${used} of ${elapsed}, ${cpu.throttled} at rest`);
    }
    loop.kill('SIGKILL');
    await loop.output();
  });

  test('floods of the kernel’s console and of a terminal that nobody reads take no memory here', async () => {
    await using sandbox = await Sandbox.create('os:base', { memoryMiB: 128 });
    const before = process.memoryUsage().rss;
    for (const name of ['hvc0', 'ttyS0', 'kmsg']) {
      const flood = await sandbox.exec(
        ['sh', '-c', 'while :; do echo flood; done > /dev/$0', name],
        { timeout: 1500 },
      );
      await assert.rejects(flood.exit, { code: 'SANDBOX_TIMEOUT' });
    }
    assert.equal((await sh(sandbox, 'echo on')).out, 'on\n');
    const terminal = await sandbox.exec(['yes'], { tty: true });
    await delay(1000);
    assert.ok(process.memoryUsage().rss - before < 200 << 20);
    terminal.kill('SIGKILL');
    await neighbourIsWell();
  });

  test('a sandbox ends with its lifetime, whatever runs in it', async () => {
    const { sandbox, met } = await watched({ lifetime: 600_000 });
    const ended = new Promise((resolve) => sandbox.once('ended', resolve));
    const loop = await sandbox.exec(['sh', '-c', 'trap "" TERM; while :; do :; done']);
    // Not before it runs, whatever starting it took.
    sandbox.setLifetime(300);
    await assert.rejects(loop.exit, { code: 'SANDBOX_TIMEOUT' });
    assert.equal(((await ended) as { reason: string }).reason, 'timeout');
    assert.equal(sandbox.state, 'ended');
    assert.deepEqual(met, ['time']);
    await assert.rejects(sandbox.exec(['true']), { code: 'SANDBOX_TIMEOUT' });
    await sandbox.close();
  });

  test('limits that no sandbox can have are refused', async () => {
    const create = (options: SandboxOptions) => Sandbox.create('os:base', options);
    await assert.rejects(create({ cpuShare: 0 }), { code: 'SANDBOX_BAD_OPTION' });
    await assert.rejects(create({ cpuShare: Number.NaN }), { code: 'SANDBOX_BAD_OPTION' });
    await assert.rejects(create({ maxProcesses: 0 }), { code: 'SANDBOX_BAD_OPTION' });
    await assert.rejects(create({ lifetime: -1 }), { code: 'SANDBOX_BAD_OPTION' });
  });
});

describe('a sandbox that is paused', () => {
  test('stands still, keeps its files in reach, and goes on', async () => {
    await using sandbox = await Sandbox.create('os:base');
    const told: string[] = [];
    for (const event of ['paused', 'resumed', 'ended'] as const)
      sandbox.on(event, () => told.push(event));
    const counter = await sandbox.exec(['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; done']);
    await counter.stdout.next();
    sandbox.pause();
    const at = (await sandbox.stats()).cpu.instructions;
    await delay(100);
    const { state, cpu, memory } = await sandbox.stats();
    assert.deepEqual([state, memory], ['paused', undefined]);
    assert.ok(cpu.instructions - at < 1_000_000);
    await assert.rejects(sandbox.exec(['true']), { code: 'SANDBOX_PAUSED' });
    await sandbox.files.write('/root/meanwhile', 'written');
    assert.equal(await sandbox.files.readText('/root/meanwhile'), 'written');
    await using copy = await sandbox.fork();
    assert.equal((await sh(copy, 'cat /root/meanwhile')).out, 'written');
    sandbox.resume();
    assert.equal((await sh(sandbox, 'cat /root/meanwhile')).out, 'written');
    counter.kill('SIGKILL');
    await counter.output();
    await sandbox.kill();
    assert.deepEqual(told, ['paused', 'resumed', 'ended']);
  });

  test('can be killed, and closed', async () => {
    for (const way of ['kill', 'close'] as const) {
      const sandbox = await Sandbox.create('os:base');
      const sleeper = await sandbox.exec(['sleep', '1000']);
      sandbox.pause();
      await sandbox[way]();
      await assert.rejects(sleeper.exit, { code: 'SANDBOX_CLOSED' });
    }
  });
});
