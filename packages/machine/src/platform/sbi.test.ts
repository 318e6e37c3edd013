import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GuestMemory } from '../hart/guest-memory.ts';
import type { Hart } from '../hart/hart.ts';
import { sbiFirmware } from './sbi.ts';
import { selectHarts, soleHart } from './sbi-harts.ts';

const ALL = (1n << 64n) - 1n;

function build() {
  const memory = new GuestMemory(0x1_0000);
  const x = new BigUint64Array(32);
  const log: string[] = [];
  const hart = {
    hartId: 0,
    stimecmp: 0n,
    readX: (n: number) => x[n]!,
    writeX: (n: number, value: bigint) => {
      x[n] = value;
    },
    readCsr: (n: number) => BigInt(n),
    raiseSoftware: () => log.push('interrupt'),
    flushTlb: () => log.push('flush'),
    flushSpace: () => log.push('flush space'),
    flushPage: (address: bigint) => log.push(`flush ${address.toString(16)}`),
    fenceCode: () => log.push('code'),
  } as unknown as Hart;
  const firmware = sbiFirmware({
    memory,
    harts: soleHart,
    console: (bytes) => log.push(`print ${new TextDecoder().decode(bytes)}`),
    shutdown: () => log.push('shutdown'),
    reset: (failed) => log.push(`reset ${failed}`),
  });
  const call = (eid: number, fid: number, ...args: bigint[]): [bigint, bigint] => {
    x[17] = BigInt(eid);
    x[16] = BigInt(fid);
    args.forEach((value, i) => {
      x[10 + i] = value;
    });
    firmware(hart);
    return [BigInt.asIntN(64, x[10]!), x[11]!];
  };
  return { memory, hart, log, call };
}

const BASE = 0x10;
const TIME = 0x5449_4d45;
const IPI = 0x73_5049;
const RFENCE = 0x5246_4e43;
const HSM = 0x48_534d;
const SRST = 0x5352_5354;
const DBCN = 0x4442_434e;

describe('the SBI firmware', () => {
  it('tells its version and which extensions there are', () => {
    const { call } = build();
    assert.deepEqual(call(BASE, 0), [0n, 2n << 24n]);
    for (const id of [BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN]) {
      assert.deepEqual(call(BASE, 3, BigInt(id)), [0n, 1n]);
    }
    for (const id of [0, 1, 8, 0x504d55]) assert.deepEqual(call(BASE, 3, BigInt(id)), [0n, 0n]);
    assert.deepEqual(call(BASE, 4), [0n, 0xf11n]);
  });

  it('refuses what it does not know', () => {
    const { call } = build();
    assert.deepEqual(call(0, 0), [-2n, 0n]);
    assert.deepEqual(call(BASE, 7), [-2n, 0n]);
    for (const id of [TIME, IPI, RFENCE, HSM, SRST, DBCN]) assert.equal(call(id, 99)[0], -2n);
  });

  it('sets the timer', () => {
    const { call, hart } = build();
    assert.deepEqual(call(TIME, 0, 12345n), [0n, 0n]);
    assert.equal(hart.stimecmp, 12345n);
  });

  it('sends interrupts and fences to the harts of a mask', () => {
    const { call, log } = build();
    assert.equal(call(IPI, 0, 1n, 0n)[0], 0n);
    assert.equal(call(IPI, 0, 0n, ALL)[0], 0n);
    assert.equal(call(IPI, 0, 0n, 0n)[0], 0n);
    assert.equal(call(IPI, 0, 2n, 0n)[0], -3n);
    assert.equal(call(IPI, 0, 1n, 1n)[0], -3n);
    assert.equal(call(RFENCE, 1, 1n, 0n, 0n, ALL)[0], 0n);
    assert.equal(call(RFENCE, 2, 4n, 0n)[0], -3n);
    assert.deepEqual(log, ['interrupt', 'interrupt', 'flush']);
  });

  it('forgets what a fence is about, and no more where that is little', () => {
    const { call, log } = build();
    const flushed = (fid: number, start: bigint, size: bigint): string[] => {
      log.length = 0;
      assert.equal(call(RFENCE, fid, 1n, 0n, start, size, 7n)[0], 0n);
      return [...log];
    };
    assert.deepEqual(flushed(0, 0n, 0n), ['code']);
    for (const [fid, all] of [
      [1, 'flush'],
      [2, 'flush space'],
    ] as const) {
      assert.deepEqual(flushed(fid, 0n, 0n), [all]);
      assert.deepEqual(flushed(fid, 0n, ALL), [all]);
      assert.deepEqual(flushed(fid, 0x5000n, 0x1000n), ['flush 5000']);
      assert.deepEqual(flushed(fid, 0x5fffn, 2n), ['flush 5000', 'flush 6000']);
      assert.equal(flushed(fid, 0x5000n, 0x1_0000n).length, 16);
      assert.deepEqual(flushed(fid, 0x5000n, 0x1_0001n), [all]);
    }
  });

  it('reads masks of harts from their base on', () => {
    assert.equal(selectHarts(0b101n, 0n, 3), 0b101);
    assert.equal(selectHarts(0b11n, 2n, 4), 0b1100);
    assert.equal(selectHarts(0n, ALL, 4), 0b1111);
    assert.equal(selectHarts(0n, 99n, 4), 0);
    for (const [mask, base] of [
      [0b100n, 2n],
      [1n, 4n],
      [1n, 64n],
      [ALL, 0n],
    ] as const) {
      assert.equal(selectHarts(mask, base, 4), undefined);
    }
  });

  it('knows one hart, which runs', () => {
    const { call } = build();
    assert.deepEqual(call(HSM, 2, 0n), [0n, 0n]);
    assert.deepEqual(call(HSM, 2, 1n), [-3n, 0n]);
    assert.deepEqual(call(HSM, 0, 0n, 0x8000_0000n), [-6n, 0n]);
    assert.deepEqual(call(HSM, 0, 7n, 0x8000_0000n), [-3n, 0n]);
  });

  it('turns the machine off and resets it', () => {
    const { call, log } = build();
    call(SRST, 0, 0n, 0n);
    call(SRST, 0, 1n, 0n);
    call(SRST, 0, 2n, 1n);
    assert.deepEqual(log, ['shutdown', 'reset false', 'reset true']);
    assert.equal(call(SRST, 0, 3n, 0n)[0], -3n);
  });

  it('prints from memory, and only from memory', () => {
    const { memory, call, log } = build();
    memory.writable(0x8000_0100, 2).set([0x6f, 0x6b]);
    assert.deepEqual(call(DBCN, 0, 2n, 0x8000_0100n, 0n), [0n, 2n]);
    assert.deepEqual(call(DBCN, 2, 0x21n), [0n, 0n]);
    assert.deepEqual(log, ['print ok', 'print !']);
    assert.equal(call(DBCN, 0, 2n, 0x1000n, 0n)[0], -3n);
    assert.equal(call(DBCN, 0, 2n, 0x8000_0100n, 1n)[0], -3n);
    assert.equal(call(DBCN, 0, ALL, 0x8000_ff00n, 0n)[0], -3n);
    assert.deepEqual(call(DBCN, 1, 2n, 0x8000_0100n, 0n), [0n, 0n]);
  });
});
