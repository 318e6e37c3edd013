import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const anole = fileURLToPath(new URL('../../packages/cli/bin/anole.js', import.meta.url));

interface Answer {
  readonly id: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number };
}

test('an agent makes a sandbox, runs code in it, copies and ends it', async (context) => {
  const saved = mkdtempSync(join(tmpdir(), 'anole-mcp-'));
  context.after(() => rmSync(saved, { recursive: true }));
  const words = ['mcp', '--image', 'os:base', '--saved', saved];
  const server = spawn(process.execPath, [anole, ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  context.after(() => server.kill());
  const answers = createInterface(server.stdout)[Symbol.asyncIterator]();
  let id = 0;
  const raw = async (line: string): Promise<Answer> => {
    server.stdin.write(`${line}\n`);
    return JSON.parse((await answers.next()).value as string) as Answer;
  };
  const ask = (method: string, params: object = {}) =>
    raw(JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }));
  const call = async (name: string, input: object = {}) => {
    const { result } = await ask('tools/call', { name, arguments: input });
    const [{ text }] = result!['content'] as [{ text: string }];
    return { text, failed: result!['isError'] === true };
  };

  const hello = await ask('initialize', { protocolVersion: '2025-03-26', capabilities: {} });
  assert.equal(hello.result!['protocolVersion'], '2025-03-26');
  server.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  const { result } = await ask('tools/list');
  const names = (result!['tools'] as { name: string }[]).map(({ name }) => name);
  assert.ok(names.includes('run_command') && names.includes('fork_sandbox'));

  const { text: sandbox_id } = await call('create_sandbox');
  await call('write_file', {
    sandbox_id,
    path: '/work/script',
    content: 'echo "six times seven: $((6 * 7))"\nexit 3\n',
  });
  const run = await call('run_command', { sandbox_id, command: 'sh script', cwd: '/work' });
  assert.equal(run.text, 'exit code: 3\nstdout:\nsix times seven: 42\n');
  const { text: copy } = await call('fork_sandbox', { sandbox_id });
  await call('run_command', { sandbox_id: copy, command: 'echo copy > /work/mine' });
  assert.equal((await call('read_file', { sandbox_id: copy, path: '/work/mine' })).text, 'copy\n');
  assert.equal((await call('list_files', { sandbox_id, path: '/work' })).text, 'file\t42\tscript');
  assert.match((await call('read_file', { sandbox_id, path: '/work/mine' })).text, /Cannot find/);
  assert.equal((await call('run_command', { sandbox_id: 'other', command: 'true' })).failed, true);
  assert.equal((await call('save_sandbox', { sandbox_id, name: 'one' })).text, 'saved as one');
  assert.equal((await call('save_sandbox', { sandbox_id, name: '../one' })).failed, true);
  const { text: restored } = await call('restore_sandbox', { name: 'one' });
  assert.equal(
    (await call('list_files', { sandbox_id: restored, path: '/work' })).text,
    'file\t42\tscript',
  );
  assert.match((await call('restore_sandbox', { name: 'two' })).text, /Cannot/);
  assert.equal((await call('end_sandbox', { sandbox_id })).text, 'ended');
  assert.equal((await call('run_command', { sandbox_id, command: 'true' })).failed, true);

  assert.equal((await raw('no json')).error?.code, -32700);
  assert.equal((await ask('no/method')).error?.code, -32601);
  assert.equal((await ask('tools/call', { name: 'no_tool' })).error?.code, -32602);
  server.stdin.end();
  const [code] = await once(server, 'exit');
  assert.equal(code, 0);
});
