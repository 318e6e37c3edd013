import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { DecodedFile } from './decoded-file.ts';

function temporary(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'anole-decoded-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** This process's descriptor of the file without a name that lies in a directory. */
function descriptorIn(directory: string): number {
  const fd = readdirSync('/proc/self/fd').find((each) => {
    try {
      return readlinkSync(`/proc/self/fd/${each}`).startsWith(`${directory}/`);
    } catch {
      return false;
    }
  });
  return Number(fd);
}

const contentOf = (key: number, length: number) =>
  Uint8Array.from({ length }, (_, at) => (key * 31 + at) & 255);

describe('decoded pieces in a file', () => {
  it('are kept from the second time on, and leave nothing behind', (test) => {
    const directory = temporary(test);
    using file = new DecodedFile(directory);
    const [one, other] = [file.ofImage(), file.ofImage()];
    const target = new Uint8Array(4);
    const bytes = contentOf(1, 100);
    one.keep('a', bytes);
    assert.equal(one.readInto('a', 0, target), false);
    one.keep('a', bytes);
    assert.equal(one.readInto('a', 7, target), true);
    assert.deepEqual(target, bytes.subarray(7, 11));
    assert.equal(one.readInto('a', 97, target), false, 'beyond its end');
    assert.equal(other.readInto('a', 0, target), false, 'of another image');
    assert.deepEqual(readdirSync(directory), []);
  });

  it('are not there where the disk has something else by now', (test) => {
    const directory = temporary(test);
    using file = new DecodedFile(directory);
    const pieces = file.ofImage();
    const bytes = contentOf(1, 10_000);
    for (let times = 0; times < 2; times++) pieces.keep('a', bytes);
    const target = new Uint8Array(100);
    writeSync(descriptorIn(directory), Uint8Array.of(bytes[5000]! ^ 1), 0, 1, 5000);
    assert.equal(pieces.readInto('a', 0, target), true, 'a page that is as it was');
    assert.deepEqual(target, bytes.subarray(0, 100));
    assert.equal(pieces.readInto('a', 4100, target), false);
    assert.equal(pieces.readInto('a', 0, target), false);
  });

  it('are what they were, or not there', (test) => {
    const directory = temporary(test);
    const puts = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.boolean()), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(puts, (steps) => {
        using file = new DecodedFile(directory, 1000);
        const image = file.ofImage();
        for (const [key, isKept] of steps) {
          // What has a key has its length.
          const bytes = contentOf(key, 1 + key * 11);
          if (isKept) image.keep(String(key), bytes);
          else {
            const target = new Uint8Array(bytes.length);
            if (image.readInto(String(key), 0, target)) assert.deepEqual(target, bytes);
          }
        }
        const last = contentOf(5, 56);
        image.keep('last', last);
        image.keep('last', last);
        const target = new Uint8Array(last.length);
        assert.equal(image.readInto('last', 0, target), true, 'the newest is there');
        assert.deepEqual(target, last);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('are not kept where the disk takes nothing', () => {
    using file = new DecodedFile('/proc/nowhere');
    const image = file.ofImage();
    for (let turn = 0; turn < 3; turn++) image.keep('a', contentOf(1, 100));
    assert.equal(image.readInto('a', 0, new Uint8Array(4)), false);
  });
});
