import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { crc32c } from '@anole/bytes';
import { asciiBytes, asciiJson, protocolVersion, toHost } from '../agent/wire.ts';
import { writeFrame } from '../client/frames.ts';
import * as L from './layout.ts';
import { SavedFile } from './read.ts';

const directory = mkdtempSync(join(tmpdir(), 'anole-read-'));
after(() => rmSync(directory, { recursive: true }));

/** A file whose sections are empty, but for the agent's first frame. */
function fileWith(hello: Uint8Array): string {
  const devices = asciiBytes(
    asciiJson({ hello: Buffer.from(hello).toString('base64'), volumes: [], connections: [] }),
  );
  const file = Buffer.alloc(L.MACHINE_ALIGNMENT);
  file.write(L.MAGIC, L.HEADER.magic);
  file.writeUInt32LE(L.VERSION, L.HEADER.version);
  file.writeUInt32LE(L.SECTION_COUNT, L.HEADER.sections);
  file.writeBigUInt64LE(BigInt(file.length), L.HEADER.size);
  file.set(devices, L.HEAD_SIZE);
  const end = L.HEAD_SIZE + devices.length;
  for (const [index, kind] of Object.values(L.Section).entries()) {
    const at = L.HEADER.end + index * L.ENTRY.end;
    const isDevices = kind === L.Section.devices;
    const offset = isDevices ? L.HEAD_SIZE : end;
    file.writeUInt32LE(kind, at + L.ENTRY.kind);
    file.writeUInt32LE(isDevices ? crc32c(devices) : 0, at + L.ENTRY.sum);
    file.writeBigUInt64LE(BigInt(offset), at + L.ENTRY.offset);
    file.writeBigUInt64LE(BigInt(isDevices ? devices.length : 0), at + L.ENTRY.length);
  }
  file.writeUInt32LE(crc32c(file.subarray(0, L.HEAD_SIZE)), L.HEADER.sum);
  const path = join(directory, 'file');
  writeFileSync(path, file);
  return path;
}

const helloOf = (version: unknown) =>
  writeFrame(toHost.hello, 0, asciiBytes(asciiJson({ version })));

test('a sandbox whose agent speaks another version is refused before it runs', () => {
  for (const version of [protocolVersion - 1, protocolVersion + 1]) {
    using file = new SavedFile(fileWith(helloOf(version)));
    assert.throws(() => file.guest(), {
      code: 'SANDBOX_FILE_VERSION',
      hint: 'Restore it with the version that wrote it',
    });
  }
});

test('a sandbox whose agent says something else first is damaged', () => {
  const whole = helloOf(protocolVersion);
  for (const hello of [
    new Uint8Array(0),
    whole.subarray(0, -1),
    writeFrame(toHost.synced, 0, new Uint8Array(0)),
    writeFrame(toHost.hello, 0, asciiBytes('8')),
    helloOf({ toString: 1 }),
    new Uint8Array(20).fill(0xff),
  ]) {
    using file = new SavedFile(fileWith(hello));
    assert.throws(() => file.guest(), { code: 'SANDBOX_FILE_DAMAGED' });
  }
});
