import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Power, type PowerRequest } from './device.ts';

it('the power register asks for power off, with a code for failure, and for a reset', () => {
  const seen: PowerRequest[] = [];
  const power = new Power((request) => seen.push(request));
  for (const value of [0x5555, 0x0003_3333, 0x7777, 0x1234]) power.write(0, 4, value);
  power.write(4, 4, 0x5555);
  power.write(0, 1, 0x55);
  assert.deepEqual(seen, [
    { kind: 'poweroff', code: 0 },
    { kind: 'poweroff', code: 3 },
    { kind: 'reboot' },
  ]);
});
