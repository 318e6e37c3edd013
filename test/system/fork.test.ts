import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sandbox, type SandboxCommand } from '@anole/sandbox';
import { output } from './in-sandbox.ts';

const decoder = new TextDecoder();

async function line(command: SandboxCommand): Promise<string> {
  let text = '';
  while (!text.endsWith('\n')) {
    const { done, value } = await command.stdout.next();
    if (done) break;
    text += decoder.decode(value);
  }
  return text;
}

describe('a fork of a running sandbox', () => {
  let parent: Sandbox;
  before(async () => {
    parent = await Sandbox.create('os:base', { hostname: 'origin' });
  });
  after(() => parent.close());

  it('has the files of its parent, and neither sees what the other writes from then on', async () => {
    await output(parent, 'mkdir -p /work; seq 20000 > /work/a; echo old > /work/b; rm /etc/motd');
    await using child = await parent.fork();
    await output(child, 'echo child >> /work/a; rm /work/b; echo new > /work/c');
    await output(parent, 'echo parent >> /work/a; echo more >> /work/b');
    assert.equal(
      await output(child, 'tail -1 /work/a; ls /work; wc -l < /work/a'),
      'child\na\nc\n20001\n',
    );
    assert.equal(
      await output(parent, 'tail -1 /work/a; ls /work; cat /work/b'),
      'parent\na\nb\nold\nmore\n',
    );
    assert.equal(await output(child, 'test -e /etc/motd || echo gone'), 'gone\n');
  });

  it('has a name, a machine id and random numbers of its own, and the time of the host', async () => {
    await output(parent, 'echo 0123456789abcdef0123456789abcdef > /etc/machine-id');
    const children = [
      await parent.fork(),
      await parent.fork(),
      await parent.fork({ hostname: 'x' }),
    ];
    try {
      const script =
        'hostname; cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1; date +%s';
      const answers = [];
      for (const each of [parent, ...children]) {
        const before = Date.now() / 1000;
        const [name, id, random, time] = (await output(each, script)).split('\n');
        const now = Number(time);
        assert.ok(before - 30 < now && now < Date.now() / 1000 + 30, `it is ${time} there`);
        answers.push({ name, id, random });
      }
      const names = answers.map(({ name }) => name);
      assert.deepEqual([names[0], names[3]], ['origin', 'x']);
      assert.equal(new Set(names).size, 4);
      assert.equal(new Set(answers.map(({ id }) => id)).size, 4);
      assert.equal(new Set(answers.map(({ random }) => random)).size, 4);
    } finally {
      for (const child of children) await child.close();
    }
  });

  it('goes on with its copy of a command, which can be talked to', async () => {
    const input = new TransformStream<Uint8Array>();
    const writer = input.writable.getWriter();
    const say = (text: string) => writer.write(new TextEncoder().encode(text));
    const script = 'n=0; while read -r x; do n=$((n + 1)); echo "$n $x"; done; echo end; exit 7';
    const counter = await parent.exec(['sh', '-c', script], { stdin: input.readable });
    await say('a\n');
    assert.equal(await line(counter), '1 a\n');
    await using child = await parent.fork();
    await using grandchild = await child.fork();
    const copy = child.attach(counter, { stdin: 'b\nc\n' });
    const { exit, stdout } = await copy.output();
    assert.equal(decoder.decode(stdout), '2 b\n3 c\nend\n');
    assert.equal(exit.code, 7);
    const other = await grandchild.attach(counter, { stdin: 'z\n' }).output();
    assert.equal(decoder.decode(other.stdout), '2 z\nend\n');
    await say('d\n');
    assert.equal(await line(counter), '2 d\n');
    await writer.close();
    assert.equal((await counter.exit).code, 7);
    assert.throws(() => child.attach(counter), { code: 'SANDBOX_NOT_FOUND' });
  });

  it('keeps what open files without a name hold', async () => {
    const script =
      'exec 3<>/tmp/u; exec 4<>/root/v; rm /tmp/u /root/v; echo one >&3; echo two >&4; read x; cat /proc/self/fd/3 /proc/self/fd/4';
    const holder = await parent.exec(['sh', '-c', `${script}; echo ready`], { stdin: never() });
    await output(parent, 'while test -e /root/v; do sleep 0.1; done; sleep 0.2');
    await using child = await parent.fork();
    const { stdout } = await child.attach(holder, { stdin: '\n' }).output();
    assert.equal(decoder.decode(stdout), 'one\ntwo\nready\n');
    holder.kill('SIGKILL');
    await holder.exit;
  });

  it('is taken while files are written, and finds each write done or not', async () => {
    const writing = await parent.exec([
      'sh',
      '-c',
      'i=0; while :; do i=$((i + 1)); echo $i > /work/n; sync; mv /work/n /work/m; done',
    ]);
    await output(parent, 'while ! test -s /work/m; do sleep 0.1; done');
    for (let round = 0; round < 3; round++) {
      await using child = await parent.fork();
      assert.match(await output(child, 'cat /work/m'), /^\d+\n$/);
    }
    writing.kill('SIGKILL');
    await writing.exit;
  });

  it('shares the volumes of its parent', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'anole-fork-'));
    try {
      writeFileSync(join(directory, 'file'), 'from the host\n');
      await using one = await Sandbox.create('os:base', {
        volumes: [{ host: directory, guest: '/v' }],
      });
      await output(one, 'cat /v/file; echo one > /v/one');
      await using two = await one.fork();
      assert.equal(
        await output(two, 'cat /v/file /v/one; echo two > /v/two'),
        'from the host\none\n',
      );
      await output(two, 'sync');
      assert.equal(readFileSync(join(directory, 'two'), 'utf8'), 'two\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('ends alone, and outlives its parent', async () => {
    const short = await parent.fork();
    await short.close();
    const first = await parent.fork();
    await using second = await first.fork();
    await first.close();
    assert.equal(await output(second, 'echo here'), 'here\n');
    await assert.rejects(first.fork(), { code: 'SANDBOX_CLOSED' });
  });

  it('comes of one that ends meanwhile whole or not at all, and takes no others with it', async () => {
    const first = await parent.fork();
    const coming = Promise.allSettled([first.fork(), first.fork(), first.fork()]);
    await first.kill();
    for (const each of await coming) {
      if (each.status === 'rejected') assert.equal(each.reason.code, 'SANDBOX_CLOSED');
      else {
        assert.equal(await output(each.value, 'echo whole'), 'whole\n');
        await each.value.close();
      }
    }
    assert.equal(await output(parent, 'echo here'), 'here\n');
  });
});

/** An input that neither ends nor says anything. */
async function* never(): AsyncGenerator<string> {
  await new Promise(() => {});
  yield '';
}
