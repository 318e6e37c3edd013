import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentLine } from './agent-line.ts';

const bytes = (value: number) => Uint8Array.of(value);

test('what the agent says is heard here until its owner is there, and then by it, in order', async () => {
  const told: number[] = [];
  const line = new AgentLine((_report, [value]) => void told.push(value!));
  line.accept(bytes(1));
  assert.deepEqual(await line.next(), bytes(1));
  const next = line.next();
  line.accept(bytes(2));
  assert.deepEqual(await next, bytes(2));
  line.accept(bytes(3));
  assert.deepEqual(told, []);
  line.open(bytes(9));
  line.accept(bytes(4));
  assert.deepEqual(told, [9, 3, 4]);
});
