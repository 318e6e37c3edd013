import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { Sandbox } from '@anole/sandbox';
import { output } from './in-sandbox.ts';

const directory = mkdtempSync(join(tmpdir(), 'anole-damage-'));
const at = (name: string) => join(directory, name);
after(() => rmSync(directory, { recursive: true }));

/** Where sections of a file are, by their numbers. */
function sectionsOf(file: Buffer): Map<number, { offset: number; length: number }> {
  const entries = Array.from({ length: file.readUInt32LE(12) }, (_, index) => 64 + 24 * index);
  return new Map(
    entries.map((entry) => [
      file.readUInt32LE(entry),
      {
        offset: Number(file.readBigUInt64LE(entry + 8)),
        length: Number(file.readBigUInt64LE(entry + 16)),
      },
    ]),
  );
}

const section = { description: 1, overlay: 3, chunks: 5, machine: 6 };

/** Changes a bit of a file, and does something with it before it is changed back. */
async function withFlipped<T>(path: string, position: number, act: () => Promise<T>): Promise<T> {
  const file = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  const flip = () => {
    readSync(file, byte, 0, 1, position);
    byte[0]! ^= 0x10;
    writeSync(file, byte, 0, 1, position);
  };
  flip();
  try {
    return await act();
  } finally {
    flip();
    closeSync(file);
  }
}

describe('a file that is not what was saved', () => {
  const refused = /^(SANDBOX_FILE|MACHINE_SNAPSHOT)_(DAMAGED|FOREIGN|VERSION)$/;
  const refuses = (path: string, code: RegExp = refused, options = {}) =>
    assert.rejects(Sandbox.restore(path, { verify: true, ...options }), (error) => {
      assert.match(AnoleError.is(error) ? error.code : String(error), code);
      return true;
    });

  before(async () => {
    await using sandbox = await Sandbox.create('os:base', { memoryMiB: 128 });
    await output(sandbox, 'mkdir /work; seq 20000 > /work/a; echo old > /work/b');
    await sandbox.snapshot(at('one'));
  });

  it('is refused, whichever byte changed', async () => {
    const file = readFileSync(at('one'));
    const sections = sectionsOf(file);
    const head = 64 + 24 * sections.size;
    const refusesFlipped = (position: number) =>
      withFlipped(at('one'), position, () => refuses(at('one')));
    for (let position = 0; position < head; position++) await refusesFlipped(position);
    for (const { offset, length } of sections.values()) {
      await refusesFlipped(offset);
      await refusesFlipped(offset + length - 1);
    }
    const machine = sections.get(section.machine)!.offset;
    for (let part = 0; part < 12; part++) {
      const body = machine + Math.floor(((file.length - machine) * part) / 12);
      await refusesFlipped(body);
    }
    for (let position = machine; position < machine + 300; position += 7) {
      await refusesFlipped(position);
    }
    for (let position = machine - 1; position > head; position -= 4099) {
      await refusesFlipped(position);
    }
  });

  it('is refused where it was cut, or is something else', async () => {
    const { length } = readFileSync(at('one'));
    for (const size of [length - 1, length >> 1, 5000, 208, 100, 64, 9, 1, 0]) {
      copyFileSync(at('one'), at('cut'));
      truncateSync(at('cut'), size);
      await refuses(at('cut'));
    }
    writeFileSync(
      at('cut'),
      'some text of no matter what, long enough to be a header of such a file',
    );
    await refuses(at('cut'), /^SANDBOX_FILE_FOREIGN$/);
    await refuses(at('missing'), /^HOST_NOT_FOUND$/);
    const newer = readFileSync(at('one'));
    newer[8] = 3;
    writeFileSync(at('cut'), newer);
    await refuses(at('cut'), /^SANDBOX_FILE_VERSION$/);
  });

  it('ends with a code where a damaged part is met only later', async () => {
    const file = readFileSync(at('one'));
    const sections = sectionsOf(file);
    const { offset } = sections.get(section.machine)!;
    file.fill(0xff, offset + (2 << 20));
    writeFileSync(at('flipped'), file);
    await refuses(at('flipped'), /^MACHINE_SNAPSHOT_DAMAGED$/, { verify: false });
    const chunks = sections.get(section.chunks)!;
    const code = await withFlipped(at('one'), chunks.offset + (chunks.length >> 1), async () => {
      await using copy = await Sandbox.restore(at('one'));
      const { exit } = await (
        await copy.exec(['sh', '-c', 'echo 3 > /proc/sys/vm/drop_caches; cat /work/* > /dev/null'])
      ).output();
      return exit.code;
    });
    assert.equal(code, 1);
  });

  it('is refused over another image, and takes its own where that is now', async () => {
    const one = readFileSync(at('one'));
    const { offset, length } = sectionsOf(one).get(section.description)!;
    const about = JSON.parse(one.toString('utf8', offset, offset + length));
    copyFileSync(about.root.path, at('image'));
    {
      await using sandbox = await Sandbox.create(at('image'), { memoryMiB: 128 });
      await output(sandbox, 'echo kept > /kept');
      await sandbox.snapshot(at('other'));
    }
    truncateSync(at('image'), statSync(at('image')).size - 4096);
    await refuses(at('other'), /^SANDBOX_FILE_FOREIGN$/);
    rmSync(at('image'));
    await refuses(at('other'), /^SANDBOX_BAD_IMAGE$/);
    await using copy = await Sandbox.restore(at('other'), { image: about.root.path });
    assert.equal(await output(copy, 'cat /kept'), 'kept\n');
  });
});
