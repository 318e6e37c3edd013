import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheDirectory } from '@anole/host';
import { Sandbox, type SandboxOptions } from '@anole/sandbox';
import { hasOpen } from './has-open.ts';

/** Tells a boot of the kernel from others: where it put the first process's vDSO, by chance. */
const boot = 'grep vdso /proc/1/maps';

describe('sandboxes from a template', () => {
  let cache: string;
  let templates: string;

  /** A cache with all that is in the usual one, but for templates. */
  before(async () => {
    await (await Sandbox.create('os:base')).close();
    cache = mkdtempSync(join(tmpdir(), 'anole-templates-'));
    templates = join(cache, 'templates');
    for (const name of readdirSync(cacheDirectory())) {
      if (name !== 'templates') symlinkSync(join(cacheDirectory(), name), join(cache, name));
    }
  });
  beforeEach(() => {
    rmSync(templates, { recursive: true, force: true });
    mkdirSync(templates);
  });
  after(() => rmSync(cache, { recursive: true, force: true }));

  async function output(script: string, options: SandboxOptions = {}): Promise<string[]> {
    await using sandbox = await Sandbox.create('os:base', { cache, terminals: 0, ...options });
    const command = await sandbox.exec(['sh', '-c', script]);
    const { exit, stdout, stderr } = await command.output();
    assert.equal(exit.code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim().split('\n');
  }
  /** Of the kind of machine, and of the image that ran in one. */
  const files = () => readdirSync(templates).map((name) => join(templates, name));
  const times = () => files().map((path) => statSync(path).mtimeMs);

  test('boot once, and are nobody else’s', async () => {
    const script = `${boot}; hostname; head -c 16 /dev/urandom | od -An -tx1; date +%s`;
    const first = await output(script, { hostname: 'one' });
    assert.equal(files().length, 2);
    const made = times();
    const second = await output(script, { hostname: 'two' });
    const before = Date.now() / 1000;
    const third = await output(script);
    const after = Date.now() / 1000;
    assert.deepEqual(times(), made);
    assert.deepEqual([second[0], third[0]], [first[0], first[0]]);
    assert.deepEqual([first[1], second[1], third[1]], ['one', 'two', 'anole']);
    assert.equal(new Set([first[2], second[2], third[2]]).size, 3);
    const time = Number(third[3]);
    assert.ok(before - 10 < time && time < after + 10, `${before} to ${after}, there ${time}`);
    const [other] = await output(boot, { template: false });
    assert.notEqual(other, first[0]);
  });

  test('have run a first command, of which nothing is left but what it read', async () => {
    await output('true');
    await using sandbox = await Sandbox.create('os:base', { cache, terminals: 0 });
    const shell = async (script: string) => {
      const { stdout } = await (await sandbox.exec(['sh', '-c', script])).output();
      return new TextDecoder().decode(stdout).trim();
    };
    const { processes = 0 } = await sandbox.stats();
    assert.ok(processes <= 1, `${processes} processes`); // the one that waits to become a command
    // The rehearsal looked for `env` there, and was told that it is not: the host makes it all the same.
    await sandbox.files.write('/usr/local/bin/env', '#!/bin/sh\necho made later\n', {
      mode: 0o755,
    });
    assert.equal(await shell('env'), 'made later');
    await sandbox.files.remove('/usr/bin/echo');
    assert.equal(await shell('ls /usr/bin/echo 2> /dev/null || /usr/bin/printf gone'), 'gone');
  });

  test('have volumes and terminals of their own', async () => {
    const host = mkdtempSync(join(tmpdir(), 'anole-volume-'));
    try {
      writeFileSync(join(host, 'name'), 'a\n');
      const volumes = ['/mnt/one', '/tmp/two', '/srv/a b'].map((guest) => ({ host, guest }));
      const [first] = await output(`${boot} > /mnt/one/boot; cat /tmp/two/boot`, { volumes });
      writeFileSync(join(host, 'name'), 'b\n');
      const options = { volumes, terminals: 1 };
      const again = await output(`${boot}; cat '/srv/a b/name'; echo x > /tmp/two/x`, options);
      assert.deepEqual(again, [first, 'b']);
      assert.deepEqual(readdirSync(host).sort(), ['boot', 'name', 'x']);
      assert.equal(files().length, 2);
    } finally {
      rmSync(host, { recursive: true, force: true });
    }
  });

  test('boot again where the template is damaged, and make it anew', async () => {
    const [first] = await output(boot);
    for (const path of files()) overwrite(path, 40, 4);
    const [second] = await output(boot);
    assert.notEqual(second, first);
    // Pages are looked at when they are touched: this is met in the middle of the start.
    for (const path of files()) {
      const half = statSync(path).size >> 1;
      overwrite(path, half, half);
    }
    const [third] = await output(boot);
    assert.notEqual(third, second);
    assert.deepEqual(await output(boot), [third]);
  });

  test('are whole or not there where the process is killed that makes them', async () => {
    const program = `
      import { Sandbox } from '@anole/sandbox';
      await Sandbox.create('os:base', { cache: ${JSON.stringify(cache)}, terminals: 0 });
      console.log('made');`;
    const options = ['-C', 'anole-source', '--disable-warning=ExperimentalWarning'];
    const child = spawn(process.execPath, [...options, '--input-type=module', '-e', program], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    let isOver = false;
    for (const event of ['data', 'end']) {
      child.stdout.on(event, () => {
        isOver = true;
      });
    }
    while (!isOver && !hasOpen(child.pid!, templates)) await delay(1);
    assert.equal(isOver, false, 'it was not seen to be written');
    child.kill('SIGKILL');
    await ended;
    assert.deepEqual(readdirSync(templates), []);
  });

  test('may all be the first', async () => {
    const boots = await Promise.all([1, 2].map(() => output(boot)));
    assert.equal(files().length, 2);
    const [later] = await output(boot);
    assert.ok(boots.flat().includes(later!));
  });
});

function overwrite(path: string, offset: number, length: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, new Uint8Array(length).fill(0x5a), 0, length, offset);
  closeSync(file);
}
