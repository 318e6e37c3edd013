import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import {
  AnoleError,
  GunzipStream,
  type GzipIndex,
  GzipIndexer,
  indexedGzip,
  memorySource,
  type Source,
} from '../index.ts';
import { sampleText } from '../testing/samples.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
/** Some megabytes of a program. */
const program = readFileSync(process.execPath).subarray(3_000_000, 9_000_000);
const SPAN = 256 * 1024;

function gunzip(stream: Uint8Array, step = 10_000): Buffer {
  const decoder = new GunzipStream();
  const parts: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += step) {
    decoder.write(stream.subarray(at, at + step));
    for (let piece = decoder.read(); piece.length > 0; piece = decoder.read()) {
      parts.push(piece.slice());
    }
  }
  decoder.end();
  return Buffer.concat(parts);
}

function indexOf(stream: Uint8Array, bytes: Uint8Array, span = SPAN): GzipIndex {
  const indexer = new GzipIndexer({ span, sha256: () => createHash('sha256') });
  const parts: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += 50_001) {
    for (const piece of indexer.decode(stream.subarray(at, at + 50_001))) parts.push(piece.slice());
  }
  assert.ok(Buffer.concat(parts).equals(bytes));
  return indexer.finish();
}

/** Members with everything that a header can have. */
function manyMembers(bytes: Uint8Array): Buffer {
  const third = Math.ceil(bytes.length / 3);
  const [first, second, last] = [0, 1, 2].map((at) =>
    gzipSync(bytes.subarray(at * third, (at + 1) * third)),
  ) as [Buffer, Buffer, Buffer];
  const extra = [5, 0, ...Buffer.from('extra')];
  const named = Buffer.concat([
    second.subarray(0, 3),
    Buffer.from([2 | 4 | 8 | 16]),
    second.subarray(4, 10),
    Buffer.from([...extra, ...Buffer.from('a name\0and a comment\0'), 0, 0]),
    second.subarray(10),
  ]);
  return Buffer.concat([first, named, gzipSync(''), last]);
}

test('streams of one member and of many decode', () => {
  for (const stream of [gzipSync(sampleText), manyMembers(sampleText)]) {
    for (const step of [1, 999, stream.length]) {
      assert.ok(gunzip(stream, step).equals(sampleText), `pieces of ${step}`);
    }
  }
});

test('damage and missing ends are told', () => {
  const stream = gzipSync(sampleText);
  const changed = (at: number) =>
    Uint8Array.from(stream, (byte, i) => (i === at ? byte ^ 1 : byte));
  for (const bad of [
    changed(0),
    changed(2),
    changed(stream.length - 1),
    changed(stream.length - 8),
    stream.subarray(0, -1),
    stream.subarray(0, 5),
    new Uint8Array(0),
    Buffer.concat([stream, Buffer.from('more')]),
  ]) {
    assert.throws(() => gunzip(bad), { code: 'GZIP_DAMAGED' });
  }
});

for (const [name, stream] of [
  ['one member', gzipSync(program)],
  ['many members', manyMembers(program)],
  ['level 1', gzipSync(program, { level: 1 })],
  ['stored blocks', gzipSync(program, { level: 0 })],
] as const) {
  test(`any range is read through an index, one span at a time: ${name}`, () => {
    const index = indexOf(stream, program);
    assert.ok(index.checkpoints.length > 10);
    assert.equal(index.digests?.length, index.checkpoints.length);
    let fetched = 0;
    const counted: Source = {
      size: stream.length,
      read(offset, length) {
        fetched++;
        return stream.subarray(offset, offset + length);
      },
    };
    const source = indexedGzip(counted, index, { kept: 3_000_000, sha256 });
    assert.equal(source.size, program.length);
    fc.assert(
      fc.property(fc.nat(program.length), fc.nat(400_000), (offset, length) => {
        const end = Math.min(program.length, offset + length);
        const before = fetched;
        const read = source.read(offset, end - offset) as Uint8Array | Promise<Uint8Array>;
        if (read instanceof Promise) return;
        assert.ok(fetched <= before + 1);
        assert.ok(Buffer.from(read).equals(program.subarray(offset, end)));
      }),
      { seed: 1, numRuns: 300 },
    );
  });
}

test('reads over several spans are joined', async () => {
  const stream = gzipSync(program);
  const source = indexedGzip(memorySource(stream), indexOf(stream, program));
  const all = await source.read(0, program.length);
  assert.ok(Buffer.from(all).equals(program));
});

test('bytes that are not those of their span are refused', async () => {
  const stream = gzipSync(program);
  const index = indexOf(stream, program);
  const wrong = Uint8Array.from(stream);
  wrong[index.checkpoints[3]!.in + 1000]! ^= 4;
  const source = indexedGzip(memorySource(wrong), index, { sha256 });
  const { out } = index.checkpoints[3]!;
  assert.throws(() => source.read(out, 10), { code: 'SPAN_WRONG_CONTENT' });
  assert.equal((source.read(0, 10) as Uint8Array).length, 10);
  const other = indexedGzip(memorySource(wrong), index);
  await assert.rejects(async () => other.read(out, 10), { code: 'SPAN_WRONG_CONTENT' });
});

test('an index that cannot be is refused', () => {
  const stream = gzipSync(program);
  const index = indexOf(stream, program);
  const [first, second, ...rest] = index.checkpoints;
  for (const checkpoints of [
    [],
    [second!, ...rest],
    [first!, first!, ...rest],
    [first!, { ...second!, in: stream.length + 1 }],
    [first!, { ...second!, out: program.length + 1 }],
    [first!, { ...second!, bits: 8 }],
    [first!, { ...second!, window: new Uint8Array(40_000) }],
  ]) {
    const { digests: _, ...bad } = { ...index, checkpoints };
    assert.throws(() => indexedGzip(memorySource(stream), bad), { code: 'GZIP_BAD_INDEX' });
  }
  assert.throws(() => indexedGzip(memorySource(stream.subarray(1)), index), {
    code: 'GZIP_BAD_INDEX',
  });
});

test('a wrong checkpoint raises a coded error when it is used', () => {
  const stream = gzipSync(program);
  const { digests: _, ...index } = indexOf(stream, program);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(5000), fc.nat(7), (at, shift, bits) => {
      const checkpoints = index.checkpoints.map((checkpoint, each) =>
        each === at ? { ...checkpoint, in: checkpoint.in + shift, bits } : checkpoint,
      );
      const source = indexedGzip(memorySource(stream), { ...index, checkpoints });
      try {
        source.read(index.checkpoints[at]!.out, 100);
      } catch (error) {
        assert.ok(AnoleError.is(error), String(error));
      }
    }),
    { seed: 5, numRuns: 200 },
  );
});

/** zlib, by its own inflatePrime and inflateSetDictionary, from each of our checkpoints on. */
const judge = `
import ctypes, json, sys
class Stream(ctypes.Structure):
    _fields_ = [('next_in', ctypes.c_void_p), ('avail_in', ctypes.c_uint), ('total_in', ctypes.c_ulong),
        ('next_out', ctypes.c_void_p), ('avail_out', ctypes.c_uint), ('total_out', ctypes.c_ulong),
        ('msg', ctypes.c_char_p), ('state', ctypes.c_void_p), ('zalloc', ctypes.c_void_p),
        ('zfree', ctypes.c_void_p), ('opaque', ctypes.c_void_p), ('data_type', ctypes.c_int),
        ('adler', ctypes.c_ulong), ('reserved', ctypes.c_ulong)]
z = ctypes.CDLL('libz.so.1')
z.zlibVersion.restype = ctypes.c_char_p
data, plain, points = open(sys.argv[1], 'rb').read(), open(sys.argv[2], 'rb').read(), json.load(open(sys.argv[3]))
for point in points:
    s = Stream()
    assert z.inflateInit2_(ctypes.byref(s), -15, z.zlibVersion(), ctypes.sizeof(s)) == 0
    if point['bits']:
        value = data[point['in'] - 1] >> (8 - point['bits'])
        assert z.inflatePrime(ctypes.byref(s), point['bits'], value) == 0
    window = bytes.fromhex(point['window'])
    if window: assert z.inflateSetDictionary(ctypes.byref(s), window, len(window)) == 0
    want = min(100000, len(plain) - point['out'])
    out = ctypes.create_string_buffer(want)
    rest = ctypes.create_string_buffer(data[point['in']:], len(data) - point['in'])
    s.next_in, s.avail_in = ctypes.addressof(rest), len(rest)
    s.next_out, s.avail_out = ctypes.addressof(out), want
    z.inflate(ctypes.byref(s), 2)
    assert s.avail_out == 0 and out.raw == plain[point['out']:point['out'] + want], point['out']
print(len(points))
`;

test('zlib itself goes on from our checkpoints', (t) => {
  try {
    execFileSync('python3', ['-c', "import ctypes; ctypes.CDLL('libz.so.1')"], { stdio: 'ignore' });
  } catch {
    return t.skip('needs python3 and libz.so.1');
  }
  const directory = mkdtempSync(join(tmpdir(), 'anole-gzip-'));
  try {
    const stream = gzipSync(program);
    const { checkpoints } = indexOf(stream, program);
    const at = (name: string) => join(directory, name);
    writeFileSync(at('stream'), stream);
    writeFileSync(at('plain'), program);
    const points = checkpoints.map((each) => ({
      ...each,
      window: Buffer.from(each.window).toString('hex'),
    }));
    writeFileSync(at('points'), JSON.stringify(points));
    const said = execFileSync('python3', ['-c', judge, at('stream'), at('plain'), at('points')]);
    assert.equal(Number(said), checkpoints.length);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
