import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { memorySource } from '@anole/bytes';
import * as R from '../../src/devices/virtio/registers.ts';
import { VirtioConsole } from '../../src/devices/virtio-console/device.ts';
import { VirtioFs } from '../../src/devices/virtio-fs/device.ts';
import { VirtioNet } from '../../src/devices/virtio-net/device.ts';
import { VirtioRng } from '../../src/devices/virtio-rng/device.ts';
import { csrs } from '../../src/hart/csr/table.ts';
import { Board } from '../../src/platform/board.ts';
import { memoryMap } from '../../src/platform/memory-map.ts';
import { code } from '../../src/platform/testing/programs.ts';
import { devicesFromJson } from '../../src/snapshot/board-state.ts';
import { restoreHarts } from '../../src/snapshot/hart-state.ts';
import { SNAPSHOT_VERSION } from '../../src/snapshot/layout.ts';
import { openSnapshot, type Snapshot } from '../../src/snapshot/read.ts';
import { writeSnapshot } from '../../src/snapshot/write.ts';

// For each version of the file there is one, N.snapshot.gz, that the first release of that version wrote, and
// what is to be found in it, N.json. Neither is written anew: what no longer reads it has to be a new version.
// After a change of the version:
//   GOLDEN=write node -C anole-source --test packages/machine/test/snapshots/*.test.ts
const path = (version: number, kind: string) => join(import.meta.dirname, `${version}.${kind}`);
const events = { power: () => {}, wake: () => {}, fault: () => {} };
const queues = [0x8004_0000, 0x8004_1000, 0x8004_2000] as const;

function board(snapshot?: Snapshot): Promise<Board> {
  const peer = { receive: () => false };
  const onData = () => {};
  const devices = [
    new VirtioConsole([
      { console: true, onData },
      { name: 'agent', onData },
    ]),
    new VirtioFs({ tag: 'root', handle: () => undefined }),
    new VirtioNet({ mac: Uint8Array.of(2, 0, 0, 0, 0, 1), peer }),
    new VirtioRng(),
  ];
  const { memorySize = 0x10_0000 } = snapshot?.shape ?? {};
  return Board.create(
    {
      ...{ memorySize, clock: 'instructions', firmware: true, devices, onSerial: () => {} },
      ...(snapshot && { fill: snapshot.fill }),
    },
    events,
  );
}

/** A machine of which little is as it is at its start. */
async function busy(): Promise<Board> {
  const made = await board();
  const { hart, memory, plic, uart, rtc, clint, pci } = made;
  const bytes = code(
    'loop: mul t1, t1, t1\naddi t1, t1, 7\nfadd.d f3, f4, f5, rne\njal zero, loop',
  );
  memory.writable(memory.base, bytes.length).set(bytes);
  for (let page = 1; page < 9; page++) memory.writeU64(memory.base + page * 0x7000, BigInt(page));
  hart.reset({ pc: BigInt(memory.base), mode: 'S' });
  hart.writeCsr(0x300, 3n << 13n);
  hart.run(1000);
  const isProtection = (number: number) => number >> 5 === 0x3a0 >> 5;
  for (const [number, { write }] of csrs) {
    if (write === undefined || isProtection(number)) continue;
    // No mode of privilege that is none, and no trap vector that is none.
    hart.writeCsr(number, (0x0123_4567_89ab_cdefn >> BigInt(number & 7)) & ~0x1802n);
  }
  hart.writeCsr(0x180, 0n);
  hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  hart.writeCsr(0x3b5, 0x1234_5678n);
  hart.writeCsr(0x3a0, 0x0000_1100_0000_001fn);
  for (let n = 1; n < 32; n++) {
    hart.writeX(n, 0x1111_2222_3333_4444n * BigInt(n));
    hart.writeF(n, 0x3ff0_0000_0000_0000n + (BigInt(n) << 40n));
  }
  hart.raiseSoftware();
  for (let source = 1; source < 96; source++) plic.write(4 * source, 4, source & 7);
  for (const word of [0, 4, 8]) plic.write(0x2080 + word, 4, 0xa5a5_a5a4);
  plic.write(0x20_1000, 4, 3);
  for (const [register, value] of [
    [3, 0x83],
    [0, 12],
    [1, 1],
    [3, 3],
    [2, 0xc1],
    [4, 0x1b],
    [7, 0x5a],
    [1, 7],
    [0, 65],
  ]) {
    uart.write(register!, 1, value!);
  }
  rtc.write(4, 4, 0x1234);
  rtc.write(0, 4, 0x5678);
  rtc.write(0x10, 4, 1);
  rtc.write(0x0c, 4, 0x7fff_0000);
  rtc.write(0x08, 4, 77);
  clint.write(0x4000, 4, 0x0100_0000);
  for (const [slot] of made.transports.entries()) {
    pci.config.write((slot << 15) + 0x10, 4, memoryMap.pciMemory.base + slot * R.BAR_SIZE);
    pci.config.write((slot << 15) + 4, 2, 0x406);
    const set = (at: number, size: 1 | 2 | 4, value: number) =>
      pci.memory.write(slot * R.BAR_SIZE + at, size, value);
    set(R.COMMON.deviceStatus, 1, 3);
    set(R.COMMON.driverFeature, 4, 1 << R.F_EVENT_IDX);
    set(R.COMMON.driverFeatureSelect, 4, 1);
    set(R.COMMON.driverFeature, 4, 1);
    set(R.COMMON.deviceStatus, 1, 11);
    set(R.COMMON.queueSelect, 2, 1);
    set(R.COMMON.queueSize, 2, 16);
    for (const [part, address] of queues.entries())
      set(R.COMMON.queueDesc + 8 * part, 4, address + slot * 0x4000);
    set(R.COMMON.queueEnable, 2, 1);
    set(R.COMMON.deviceStatus, 1, 15);
  }
  return made;
}

/** What a guest and its owner find: registers by their names and places, not by how they are kept. */
function description({ hart, memory, plic, uart, rtc, clint, pci, transports }: Board): object {
  const each = <T>(count: number, read: (index: number) => T) =>
    Array.from({ length: count }, (_, n) => read(n));
  const hex = (value: bigint) => value.toString(16);
  return {
    pc: hex(hart.pc),
    mode: hart.mode,
    ticks: hex(hart.time),
    instructions: hart.instret,
    x: each(32, (n) => hex(hart.readX(n))),
    f: each(32, (n) => hex(hart.readF(n))),
    csrs: Object.fromEntries(
      [...csrs].map(([number, { name }]) => [name, hex(hart.readCsr(number))]),
    ),
    comparators: [hex(hart.mtimecmp), hex(hart.stimecmp)],
    memory: each(256, (page) => memory.readU32(memory.base + page * 4096)),
    plic: [
      ...each(96, (n) => plic.read(4 * n, 4)),
      ...each(3, (n) => plic.read(0x2080 + 4 * n, 4)),
      plic.read(0x20_1000, 4),
    ],
    pending: each(3, (n) => plic.read(0x1000 + 4 * n, 4)),
    uart: [1, 3, 4, 6, 7].map((register) => uart.read(register, 1)),
    rtc: [0x10, 0x18, 0x08].map((register) => rtc.read(register, 4)),
    clint: clint.read(0x4000, 4),
    pci: transports.map((_, slot) =>
      [0, 4, 0x10, 0x3c].map((at) => pci.config.read((slot << 15) + at, 4)),
    ),
    virtio: transports.map((_, slot) =>
      each(R.COMMON.end / 4, (n) => pci.memory.read(slot * R.BAR_SIZE + 4 * n, 4)),
    ),
  };
}

async function restored(file: Uint8Array): Promise<Board> {
  const snapshot = openSnapshot(memorySource(file));
  const made = await board(snapshot);
  devicesFromJson(made, snapshot.devices);
  restoreHarts(made, snapshot.hart);
  return made;
}

if (process.env['GOLDEN'] === 'write') {
  const chunks: Uint8Array[] = [];
  const made = await busy();
  writeSnapshot(made, 'instructions', (chunk) => void chunks.push(chunk.slice()));
  writeFileSync(
    path(SNAPSHOT_VERSION, 'snapshot.gz'),
    gzipSync(Buffer.concat(chunks), { level: 9 }),
  );
  made.hart.run(4);
  writeFileSync(
    path(SNAPSHOT_VERSION, 'json'),
    `${JSON.stringify(description(made), undefined, 1)}\n`,
  );
}

describe('snapshots that earlier versions of this package wrote', () => {
  for (let version = 1; version <= SNAPSHOT_VERSION; version++) {
    const isRead = version === SNAPSHOT_VERSION;
    it(`${isRead ? 'go on' : 'are refused by name'}: version ${version}`, async () => {
      const file = new Uint8Array(gunzipSync(readFileSync(path(version, 'snapshot.gz'))));
      if (!isRead) {
        assert.throws(() => openSnapshot(memorySource(file)), { code: 'MACHINE_SNAPSHOT_VERSION' });
        return;
      }
      const made = await restored(file);
      made.hart.run(4);
      const expected = JSON.parse(readFileSync(path(version, 'json'), 'utf8'));
      const found = JSON.parse(JSON.stringify(description(made)));
      // A CSR that came later is no part of the file.
      for (const name of Object.keys(found.csrs))
        if (!(name in expected.csrs)) delete found.csrs[name];
      assert.deepEqual(found, expected);
    });
  }
});
