import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ContainerdError } from '../errors.ts';
import {
  bool,
  bytes,
  embedded,
  int,
  labels,
  message,
  messages,
  string,
  strings,
  timestamp,
} from './message.ts';

const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
const Inner = message({ name: string(1), value: int(2) });
const All = message({
  text: string(1),
  number: int(2),
  flag: bool(3),
  data: bytes(4),
  list: strings(5),
  map: labels(6),
  inner: embedded(7, Inner),
  inners: messages(8, Inner),
  time: timestamp(1000),
});

describe('messages of protocol buffers', () => {
  // Source: protobuf.dev, "Encoding": Test1, Test2 and Test3, and -2 under "Signed Integers".
  it('are written as the specification writes its examples', () => {
    assert.equal(hex(message({ a: int(1) }).encode({ a: 150 })), '089601');
    assert.equal(hex(message({ b: string(2) }).encode({ b: 'testing' })), '120774657374696e67');
    const c = message({ c: embedded(3, message({ a: int(1) })) });
    assert.equal(hex(c.encode({ c: { a: 150 } })), '1a03089601');
    assert.equal(hex(message({ a: int(1) }).encode({ a: -2 })), '08feffffffffffffffff01');
  });

  it('are read back as they were written', () => {
    const name = fc.string({ unit: 'grapheme' });
    const inner = fc.record({ name, value: fc.maxSafeInteger() }, { noNullPrototype: true });
    const all = fc.record({
      text: name,
      number: fc.maxSafeInteger(),
      flag: fc.boolean(),
      data: fc.uint8Array(),
      list: fc.array(name),
      map: fc.dictionary(name, name),
      inner: fc.option(inner, { nil: undefined }),
      inners: fc.array(inner),
      time: fc.option(fc.integer({ min: -1e12, max: 4e12 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(all, (value) => {
        const back = All.decode(All.encode(value));
        assert.deepEqual({ ...back, map: { ...back.map } }, { ...value, map: { ...value.map } });
      }),
      { seed: 1 },
    );
  });

  it('pass over fields that are not known', () => {
    const more = message({ a: int(1), b: string(2), d: strings(3) });
    const bytes = more.encode({ a: 1, b: 'x', d: ['y', 'z'] });
    assert.deepEqual(message({ b: string(2) }).decode(bytes), { b: 'x' });
  });

  it('that are damaged raise coded errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          All.decode(bytes);
        } catch (error) {
          assert.ok(error instanceof ContainerdError && error.code === 'CONTAINERD_BAD_MESSAGE');
        }
      }),
      { seed: 2, numRuns: 5000 },
    );
  });
});
