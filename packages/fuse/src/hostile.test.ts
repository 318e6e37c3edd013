import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPromise } from '@anole/bytes';
import { MemoryTree, memoryOverlay } from '@anole/vfs';
import fc from 'fast-check';
import { join, Kernel, setattr, string, u32, u64, zeros } from './kernel.fixture.ts';
import { Opcode } from './layout/opcodes.ts';

const EINVAL = 22;
const ENAMETOOLONG = 36;
const ENOSYS = 38;
const ESTALE = 116;
const encoder = new TextEncoder();

describe('FuseServer, hostile requests', () => {
  it('refuses names that are none, and names that are too long', () => {
    const kernel = new Kernel(memoryOverlay());
    for (const name of ['', '.', '..', 'a/b', '/']) {
      assert.equal(kernel.ask('LOOKUP', 1, string(name)).error, EINVAL);
      assert.equal(kernel.ask('MKDIR', 1, join(u32(0o755, 0), string(name))).error, EINVAL);
      assert.equal(kernel.ask('UNLINK', 1, string(name)).error, EINVAL);
    }
    assert.equal(kernel.ask('LOOKUP', 1, string('n'.repeat(256))).error, ENAMETOOLONG);
    assert.equal(kernel.ask('LOOKUP', 1, encoder.encode('no end')).error, EINVAL);
    assert.equal(kernel.ask('RENAME', 1, join(u64(1), string('one'))).error, EINVAL);
  });

  it('refuses requests that are not as long as they say', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'file');
    const request = kernel.request(16, file, join(u64(0, 0), u32(100, 0), u64(0), u32(0, 0)));
    const error = (bytes: Uint8Array) => {
      const reply = kernel.server.handle(bytes);
      assert.ok(!isPromise(reply));
      return reply.length === 0
        ? undefined
        : -new DataView(reply[0]!.slice().buffer).getInt32(4, true);
    };
    assert.equal(error(request), EINVAL, 'data is missing');
    assert.equal(error(request.subarray(0, 50)), EINVAL);
    assert.equal(error(request.subarray(0, 39)), undefined);
    assert.equal(error(new Uint8Array(0)), undefined);
    assert.equal(kernel.ask('GETXATTR', file, zeros(3)).error, EINVAL);
  });

  it('refuses numbers that were never given out', () => {
    const kernel = new Kernel(memoryOverlay());
    for (const nodeid of [0, 2, 77, 2 ** 50]) {
      assert.equal(kernel.ask('GETATTR', nodeid, zeros(16)).error, ESTALE);
      assert.equal(kernel.ask('LOOKUP', nodeid, string('x')).error, ESTALE);
    }
    assert.equal(kernel.ask('LINK', 1, join(u64(99), string('x'))).error, ESTALE);
    kernel.tell('FORGET', 99, u64(1));
  });

  it('gives no more than was asked for, and never more than a megabyte', () => {
    const kernel = new Kernel(memoryOverlay());
    const file = kernel.create(1, 'file');
    kernel.ask('SETATTR', file, setattr({ valid: 8, size: 2 ** 40 }));
    assert.equal(kernel.read(file, 0, 0xffffffff).body.length, 1024 * 1024);
    assert.equal(kernel.ask('POLL', file, zeros(24)).error, ENOSYS);
    const unknown = kernel.server.handle(kernel.request(9999, 1, zeros(8)));
    assert.ok(!isPromise(unknown) && unknown.length === 1);
  });

  it('answers whatever comes, and goes on serving', () => {
    const number = fc.oneof(fc.nat(8), fc.nat(100_000), fc.constantFrom(0xffffffff, 2 ** 31));
    const long = fc.oneof(fc.nat(8), fc.nat(100_000), fc.constantFrom(2 ** 53 - 1, 2 ** 40));
    const part = fc.oneof(
      fc.array(number, { maxLength: 4 }).map((values) => u32(...values)),
      fc.array(long, { maxLength: 4 }).map((values) => u64(...values)),
      fc.constantFrom('a', 'b', 'dir', 'file', '..', 'x/y', 'user.a', '').map(string),
      fc.uint8Array({ maxLength: 40 }),
    );
    const opcodes = Object.values(Opcode).filter((opcode) => opcode !== Opcode.DESTROY);
    const request = fc.record({
      opcode: fc.oneof(fc.constantFrom(...opcodes), fc.nat(70)),
      nodeid: fc.oneof(fc.nat(8), fc.constant(2 ** 53 + 2)),
      args: fc.array(part, { maxLength: 6 }),
      cut: fc.oneof(fc.constant(0), fc.nat(60)),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 40 }), (all) => {
        const unforeseen: unknown[] = [];
        const lower = new MemoryTree();
        lower.putFile('dir/file', encoder.encode('content'));
        const tree = memoryOverlay(lower, { maxBytes: 2 ** 20 });
        const kernel = new Kernel(tree, { onError: (error) => unforeseen.push(error) });
        kernel.walk('dir', 'file');
        for (const { opcode, nodeid, args, cut } of all) {
          const bytes = kernel.request(opcode, nodeid, join(...args));
          const reply = kernel.server.handle(bytes.subarray(0, bytes.length - cut));
          assert.ok(!isPromise(reply));
          if (reply.length === 0) continue;
          const length = reply.reduce((sum, chunk) => sum + chunk.length, 0);
          assert.equal(new DataView(reply[0]!.slice().buffer).getUint32(0, true), length);
        }
        assert.deepEqual(unforeseen, []);
        kernel.ask('INIT', 0, u32(7, 38, 0, 0));
        assert.equal(kernel.ask('GETATTR', 1, zeros(16)).error, 0);
      }),
      { numRuns: 400, seed: 46 },
    );
  });
});
