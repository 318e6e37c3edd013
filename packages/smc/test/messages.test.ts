import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  clcLength,
  explainDiagnosis,
  parseCdc,
  parseClc,
  parseLlc,
  parseRoce,
  SmcError,
  writeCdc,
  writeClc,
  writeLlc,
} from '@anole/smc';
import fc from 'fast-check';
import { cdcMessages, clcMessages, llcMessages } from './examples.ts';

const options = { seed: 8, numRuns: 300 };

describe('messages of SMC', () => {
  test('any CLC message survives being written and read', () => {
    fc.assert(
      fc.property(clcMessages, (message) => {
        const bytes = writeClc(message);
        assert.equal(clcLength(bytes.subarray(0, 8)), bytes.length);
        assert.deepEqual(parseClc(bytes), structuredClone(message));
      }),
      options,
    );
  });

  test('any LLC message survives being written and read', () => {
    fc.assert(
      fc.property(llcMessages, (message) => {
        assert.deepEqual(parseLlc(writeLlc(message)), structuredClone(message));
      }),
      options,
    );
  });

  test('any CDC message survives being written and read', () => {
    fc.assert(
      fc.property(cdcMessages, (message) => {
        assert.deepEqual(parseCdc(writeCdc(message)), structuredClone(message));
      }),
      options,
    );
  });

  test('messages have the lengths of the standard', () => {
    const R = { peerId: new Uint8Array(8), gid: new Uint8Array(16), mac: new Uint8Array(6) };
    const proposal = { kind: 'proposal', eyecatcher: 'R', ...R } as const;
    const prefix = { ipv4Mask: new Uint8Array(4), ipv4Length: 24, ipv6: [] };
    const plain = { ...proposal, version: 1, offerV1: 'R', offerV2: 'none', prefix } as const;
    assert.equal(writeClc(plain).length, 52);
    const decline = { kind: 'decline', eyecatcher: 'D', ...R, isOutOfSync: false } as const;
    const why = { diagnosis: 0x03010000, osType: 1 };
    assert.equal(writeClc({ ...decline, ...why, version: 1 }).length, 28);
    assert.equal(writeClc({ ...decline, ...why, version: 2 }).length, 44);
  });

  test('damaged messages are refused by name, whatever is in them', () => {
    const parsers = [parseClc, parseLlc, parseCdc, parseRoce];
    const damaged = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(
          fc.oneof(clcMessages.map(writeClc), llcMessages.map(writeLlc), cdcMessages.map(writeCdc)),
          fc.array(fc.tuple(fc.nat(0xffff), fc.nat(0xff)), { minLength: 1, maxLength: 4 }),
          fc.nat(20),
        )
        .map(([bytes, changes, cut]) => {
          const copy = bytes.slice(0, Math.max(0, bytes.length - (cut > 10 ? cut : 0)));
          for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value;
          return copy;
        }),
    );
    fc.assert(
      fc.property(damaged, (bytes) => {
        for (const parse of parsers) {
          try {
            parse(bytes);
          } catch (error) {
            if (!(error instanceof SmcError)) throw error;
            assert.match(error.code, /^SMC_BAD_/);
          }
        }
      }),
      { seed: 8, numRuns: 3000 },
    );
  });

  test('reasons of declines are explained with what to do', () => {
    const { reason, hint } = explainDiagnosis(0x03030008);
    assert.match(reason, /enterprise identifier/);
    assert.match(hint ?? '', /ueid/);
    assert.match(explainDiagnosis(0x12345678).reason, /not in the standard/);
  });
});
