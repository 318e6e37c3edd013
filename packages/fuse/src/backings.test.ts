import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { viewOf } from '@anole/bytes';
import { MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { type Backings, FuseServer } from './index.ts';
import { join, Kernel, string, u32, u64, zeros } from './kernel.fixture.ts';
import { InitFlag, InitFlag2 } from './layout/flags.ts';
import { Opcode } from './layout/opcodes.ts';

const EROFS = 30;
const ENOSYS = 38;
const EVERYTHING = -1 & ~InitFlag.INIT_EXT;
const encoder = new TextEncoder();

function tree(): MemoryTree {
  const made = new MemoryTree();
  made.putFile('file', encoder.encode('content'));
  made.putFile('other', encoder.encode('content'));
  return made;
}

/** Gives the numbers that are set, and notes what is closed. */
class Told implements Backings {
  answer: number | undefined = 0;
  readonly opened: number[] = [];
  readonly closed: [number, number, boolean][] = [];

  open({ stat }: { readonly stat: { readonly ino: number } }): number | undefined {
    this.opened.push(stat.ino);
    return this.answer;
  }

  close(
    { stat }: { readonly stat: { readonly ino: number } },
    id: number,
    isRepeated: boolean,
  ): void {
    this.closed.push([stat.ino, id, isRepeated]);
  }
}

/** @param flags2 'none': the kernel has 32 flags */
function passing(backings: Backings, flags2: number | 'none' = InitFlag2.PASSTHROUGH) {
  const beyond = flags2 === 'none' ? [] : [flags2];
  return new Kernel(tree(), { mountedReadOnly: true, backings }, EVERYTHING, ...beyond);
}

const openOut = (body: Uint8Array<ArrayBuffer>) => {
  const view = viewOf(body);
  return [Number(view.getBigUint64(0, true)), view.getUint32(8, true), view.getUint32(12, true)];
};

describe('files that the kernel reads by itself', () => {
  it('are agreed on where both sides can, and cost an OPEN only then', () => {
    const able = passing(new Told());
    assert.equal(able.agreed2, InitFlag2.PASSTHROUGH);
    assert.ok(able.agreed & InitFlag.INIT_EXT);
    assert.equal(able.agreed & InitFlag.NO_OPEN_SUPPORT, 0);
    assert.equal(able.server.agreed, InitFlag2.PASSTHROUGH * 2 ** 32 + able.agreed);
    for (const flags2 of ['none', 0, ~InitFlag2.PASSTHROUGH >>> 0] as const) {
      const unable = passing(new Told(), flags2);
      assert.equal(unable.agreed2, 0);
      assert.ok(unable.agreed & InitFlag.NO_OPEN_SUPPORT);
      assert.equal(unable.ask('OPEN', unable.walk('file').nodeid, u32(0, 0)).error, ENOSYS);
    }
    const writable = new Kernel(tree(), { backings: new Told() }, EVERYTHING, 0xffffffff);
    assert.equal(writable.agreed2, 0);
  });

  it('have their number in the reply, or none, and it comes back at the end', () => {
    const told = new Told();
    const kernel = passing(told);
    const { nodeid, attr } = kernel.walk('file');
    assert.deepEqual(openOut(kernel.ask('OPEN', nodeid, u32(0, 0)).body), [0, 2, 0]);
    told.answer = 5;
    assert.deepEqual(openOut(kernel.ask('OPEN', nodeid, u32(0, 0)).body), [5, 128, 5]);
    kernel.ask('RELEASE', nodeid, join(u64(5), u32(0, 0), u64(0)));
    kernel.ask('RELEASE', nodeid, join(u64(0), u32(0, 0), u64(0)));
    assert.deepEqual(told.opened, [attr.ino, attr.ino]);
    assert.deepEqual(told.closed, [
      [attr.ino, 5, false],
      [attr.ino, 0, false],
    ]);
    assert.equal(kernel.ask('OPEN', nodeid, u32(1, 0)).error, EROFS);
    told.answer = undefined;
    assert.equal(kernel.ask('OPEN', nodeid, u32(0, 0)).error, ENOSYS);
  });

  it('go on by what was agreed on with the server before, which may have been told of an end', () => {
    const told = new Told();
    const { agreed } = passing(told).server;
    const files = tree();
    const next = new FuseServer(files, {
      mountedReadOnly: true,
      backings: told,
      agreed: agreed!,
      nodeOf: (ino) => [files.root.lookup('file')].find((each) => each?.stat.ino === ino),
    });
    const { ino } = files.root.lookup('file')!.stat;
    const kernel = passing(told);
    const request = kernel.request(Opcode.RELEASE, ino + 2, join(u64(9), u32(0, 0), u64(0)));
    request[15] = 0x80;
    assert.equal(viewOf(request).getUint32(12, true), 0x80345678);
    assert.notDeepEqual(next.handle(request), []);
    assert.deepEqual(told.closed, [[ino, 9, true]]);
  });

  it('answers whatever comes of opening and closing', () => {
    const call = fc.record({
      opcode: fc.constantFrom(Opcode.OPEN, Opcode.RELEASE, Opcode.INIT, Opcode.FORGET),
      nodeid: fc.oneof(fc.nat(4), fc.constant(2 ** 53 + 2)),
      args: fc.uint8Array({ maxLength: 72 }),
      answer: fc.oneof(fc.nat(3), fc.constant(undefined)),
    });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
        const told = new Told();
        const kernel = passing(told);
        kernel.ask('LOOKUP', 1, string('file'));
        kernel.ask('LOOKUP', 1, string('other'));
        for (const { opcode, nodeid, args, answer } of calls) {
          told.answer = answer;
          const reply = kernel.server.handle(kernel.request(opcode, nodeid, args));
          assert.ok(Array.isArray(reply));
          if (opcode === Opcode.FORGET) continue;
          const length = reply.reduce((sum: number, { length }) => sum + length, 0);
          assert.equal(viewOf(reply[0]!.slice()).getUint32(0, true), length);
        }
        kernel.ask('INIT', 0, join(u32(7, 38, 0, 0xffffffff), zeros(48)));
        assert.equal(kernel.ask('GETATTR', 1, zeros(16)).error, 0);
      }),
      { numRuns: 300, seed: 195 },
    );
  });
});
