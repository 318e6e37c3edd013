import assert from 'node:assert/strict';
import { closeSync, lstatSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporary } from '../test/tools.ts';
import { hasNative } from './native/koffi.ts';
import { setTimes } from './set-times.ts';

const missing = hasNative() ? false : 'koffi is not installed';
const times = [
  { seconds: 0, nanoseconds: 1 },
  { seconds: -100, nanoseconds: 999_999_999 },
  { seconds: 2 ** 32 + 12_345, nanoseconds: 123_456_789 },
];

describe('times', () => {
  for (const time of times) {
    const { seconds, nanoseconds } = time;
    const nano = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);

    it(`of ${nano} ns are set to the nanosecond`, { skip: missing }, (test) => {
      const base = temporary(test);
      const [file, link] = [join(base, 'dät'), join(base, 'link')];
      writeFileSync(file, '');
      symlinkSync('nowhere', link);
      const fd = openSync(file, 'r');
      test.after(() => closeSync(fd));
      const told = (path: string) => {
        const { mtimeNs, atimeNs } = lstatSync(path, { bigint: true });
        return [mtimeNs, atimeNs];
      };
      setTimes(link, time);
      assert.deepEqual(told(link), [nano, nano]);
      setTimes(fd, time);
      assert.deepEqual(told(file), [nano, nano]);
      setTimes(file, { ...time, nanoseconds: 5 });
      assert.equal(told(file)[0], nano - BigInt(nanoseconds) + 5n);
    });

    it(`of ${nano} ns are kept to the microsecond for names that are bytes`, (test) => {
      const file = Buffer.concat([Buffer.from(`${temporary(test)}/`), Buffer.of(0xff)]);
      writeFileSync(file, '');
      setTimes(file, time);
      const { mtimeNs } = lstatSync(file, { bigint: true });
      assert.equal(mtimeNs - (mtimeNs % 1000n), nano - (nano % 1000n));
    });
  }

  it('of what is not there raise what Node would', { skip: missing }, (test) => {
    const path = join(temporary(test), 'absent');
    assert.throws(() => setTimes(path, times[0]!), { code: 'ENOENT' });
  });
});
