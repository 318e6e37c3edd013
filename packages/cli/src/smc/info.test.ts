import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Finding } from '../doctor/check.ts';

const main = join(import.meta.dirname, '../main.ts');
const info = [process.execPath, '-C', 'anole-source', main, 'smc', 'info'];

/** What a command finds, by the names of its findings. */
function findings(command: readonly string[]): ReadonlyMap<string, Finding> {
  const [program = '', ...args] = command;
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Finding);
  return new Map(all.map((each) => [each.name, each]));
}

test('smc info says of each kind whether it works, and what to do where it does not', () => {
  const found = findings([...info, '--json']);
  assert.deepEqual([...found.keys()], ['smc', 'smc-r', 'af_smc']);
  for (const { name, state, next } of found.values()) {
    assert.ok(state === 'ok' ? next === undefined : state === 'optional' && next, name);
  }
  const [program = '', ...args] = info;
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' });
  for (const { found: text } of found.values()) assert.ok(stdout.includes(text), stdout);
});

test('it says of the kernel’s sockets what a program of Python finds', (t) => {
  const script = 'import socket; socket.socket(43, socket.SOCK_STREAM, 0)';
  const { status, error } = spawnSync('python3', ['-c', script]);
  if (error !== undefined) {
    t.skip('python3 is not installed');
    return;
  }
  // After that: the kernel loads its module when it is first asked.
  const state = findings([...info, '--json']).get('af_smc')?.state;
  assert.equal(state, status === 0 ? 'ok' : 'optional');
});

test('without their capabilities it names those that other hosts need', (t) => {
  const drop = ['setpriv', '--bounding-set=-bpf,-net_admin', '--inh-caps=-bpf,-net_admin'];
  if (process.getuid!() !== 0 || spawnSync('setpriv', ['--version']).error !== undefined) {
    t.skip('only root has capabilities to drop, with setpriv (Debian: util-linux)');
    return;
  }
  const { state, found } = findings([...drop, ...info, '--json']).get('smc-r')!;
  assert.equal(state, 'optional');
  assert.match(found, /lacks CAP_NET_ADMIN, CAP_BPF/);
});
