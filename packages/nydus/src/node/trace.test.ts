import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatTrace, parseTrace, TraceRecorder } from './trace.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

describe('a trace', () => {
  it('has each byte of a file once, where it was read first', () => {
    const read = fc.record({
      path: fc.constantFrom('a', 'usr/b'),
      offset: fc.nat(200),
      length: fc.nat(60),
    });
    fc.assert(
      fc.property(fc.array(read, { maxLength: 30 }), (reads) => {
        const recorder = new TraceRecorder();
        const expected = new Set<string>();
        for (const each of reads) {
          recorder.add(each);
          for (let at = 0; at < each.length; at++) expected.add(`${each.path} ${each.offset + at}`);
        }
        const met = recorder.trace.flatMap(({ path, offset, length }) =>
          Array.from({ length }, (_, at) => `${path} ${offset + at}`),
        );
        assert.deepEqual(met.sort(), [...expected].sort());
      }),
      { numRuns: 200, seed: 11 },
    );
  });

  it('joins reads that go on', () => {
    const recorder = new TraceRecorder();
    recorder.add({ path: 'a', offset: 0, length: 10 });
    recorder.add({ path: 'a', offset: 10, length: 10 });
    recorder.add({ path: 'b', offset: 0, length: 5 });
    recorder.add({ path: 'a', offset: 5, length: 20 });
    assert.deepEqual(recorder.trace, [
      { path: 'a', offset: 0, length: 20 },
      { path: 'b', offset: 0, length: 5 },
      { path: 'a', offset: 20, length: 5 },
    ]);
  });

  it('is read as it was written, and nothing else is', () => {
    const trace = [
      { path: 'usr/bin/a "b"', offset: 0, length: 2 ** 40 },
      { path: 'c\n', offset: 7, length: 0 },
    ];
    assert.deepEqual(parseTrace(bytesOf(formatTrace(trace))), trace);
    assert.deepEqual(parseTrace(bytesOf(formatTrace([]))), []);
    for (const wrong of [
      '',
      '[]',
      '{"version":2,"reads":[]}',
      '{"version":1}',
      '{"version":1,"reads":[["a",-1,2]]}',
      '{"version":1,"reads":[["a",1.5,2]]}',
      '{"version":1,"reads":[[1,1,2]]}',
      '{"version":1,"reads":[null]}',
    ]) {
      assert.throws(() => parseTrace(bytesOf(wrong)), { code: 'OCI_BAD_TRACE' }, wrong);
    }
  });
});
