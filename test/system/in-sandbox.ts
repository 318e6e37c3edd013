import assert from 'node:assert/strict';
import type { Sandbox } from '@anole/sandbox';

const decoder = new TextDecoder();

/** What a script of the shell prints in a sandbox; it must succeed. */
export async function output(sandbox: Sandbox, script: string): Promise<string> {
  const { exit, stdout, stderr } = await (await sandbox.exec(['sh', '-c', script])).output();
  assert.equal(exit.code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}
