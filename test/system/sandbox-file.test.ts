import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sandbox } from '@anole/sandbox';

const decoder = new TextDecoder();
const directory = mkdtempSync(join(tmpdir(), 'anole-file-'));
const at = (name: string) => join(directory, name);
after(() => rmSync(directory, { recursive: true }));

async function output(sandbox: Sandbox, script: string): Promise<string> {
  const { exit, stdout, stderr } = await (await sandbox.exec(['sh', '-c', script])).output();
  assert.equal(exit.code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}

describe('a sandbox in a file', () => {
  let origin: Sandbox;
  before(async () => {
    origin = await Sandbox.create('os:base', { hostname: 'origin', memoryMiB: 128 });
  });
  after(() => origin.close());

  it('goes on with its files', async () => {
    await output(origin, 'mkdir -p /work; seq 20000 > /work/a; echo old > /work/b; rm /etc/motd');
    await origin.snapshot(at('one'));
    await output(origin, 'echo new > /work/b');
    await using copy = await Sandbox.restore(at('one'));
    assert.equal(await output(copy, 'tail -1 /work/a; cat /work/b; test -e /etc/motd || echo gone'), '20000\nold\ngone\n');
    await output(copy, 'echo 20001 >> /work/a');
    await copy.snapshot(at('one'));
    await using again = await Sandbox.restore(at('one'));
    assert.equal(await output(again, 'tail -1 /work/a; wc -l < /work/a'), '20001\n20001\n');
    await using fork = await again.fork();
    assert.equal(await output(fork, 'tail -1 /work/a; wc -l < /work/a'), '20001\n20001\n');
  });
});
