import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../packages/oci/src/testing/tools.ts';

/**
 * Debian's containerd with a place of its own, for as long as the test runs; gives its `ctr`, or another client.
 */
export async function startContainerd(
  test: TestContext,
  directory: string,
  client = 'ctr',
): Promise<(...args: string[]) => string> {
  mkdirSync(directory);
  const at = (name: string) => join(directory, name);
  // JSON's texts and lists are TOML's.
  const text = JSON.stringify;
  writeFileSync(
    at('config.toml'),
    `version = 2
root = ${text(at('root'))}
state = ${text(at('state'))}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = ${text(at('socket'))}
[ttrpc]
address = ${text(at('socket.ttrpc'))}
`,
  );
  const child = spawn('containerd', ['--config', at('config.toml')], { stdio: 'ignore' });
  const ended = once(child, 'close');
  test.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  for (let attempt = 0; !existsSync(at('socket')); attempt++) {
    assert.ok(attempt < 600 && child.exitCode === null, 'containerd does not start');
    await sleep(50);
  }
  return (...args) => run(client, '--address', at('socket'), ...args);
}
