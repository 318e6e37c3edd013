import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isPromise } from '@anole/bytes';
import { run } from '../test/tools.ts';
import { FuseRequests } from './fuse-requests.ts';
import { hasNative } from './native/index.ts';
import { scratchDirectory } from './scratch.fixture.ts';

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

describe('requests of a mount', () => {
  for (const isNative of hasNative() ? [true, false] : [false]) {
    // What is read are messages: any device will do that gives one at a time.
    it(`are waited for, ${isNative ? 'here and elsewhere' : 'elsewhere'}`, async (test) => {
      const path = join(scratchDirectory(test), 'device');
      run(['mkfifo', path]);
      const device = openSync(path, 'r+');
      test.after(() => closeSync(device));
      const writer = openSync(path, 'w');
      test.after(() => closeSync(writer));
      const requests = new FuseRequests(device, 4096, isNative);
      const waiting = requests.next();
      assert.ok(isPromise(waiting), 'nothing is there');
      writeSync(writer, 'first');
      const first = await waiting;
      assert.equal(text(first), 'first');
      writeSync(writer, 'second');
      const there = requests.next();
      assert.equal(isPromise(there), !isNative);
      const second = await there;
      assert.equal(text(second), 'second');
      assert.equal(text(first), 'first', 'each has memory of its own');
      requests.free(second!, false);
      writeSync(writer, 'third');
      const third = await requests.next();
      assert.equal(text(third), 'third');
      assert.equal(third!.buffer, second!.buffer, 'which is used again');
    });
  }
});
