import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openSnapshot } from '@anole/machine';
import { Sandbox, type SandboxCommand } from '@anole/sandbox';
import { code } from '../../packages/machine/src/platform/testing/programs.ts';
import { elf } from '../../packages/sandbox/src/guest/elf.ts';
import { SavedFile } from '../../packages/sandbox/src/saved/read.ts';

const directory = mkdtempSync(join(tmpdir(), 'anole-draw-'));
const at = (name: string) => join(directory, name);
after(() => rmSync(directory, { recursive: true }));

/** An input that neither ends nor says anything. */
async function* never(): AsyncGenerator<string> {
  await new Promise(() => {});
  yield '';
}

/**
 * Says that it runs, draws eight random bytes again and again, and notes the time before each; once it is given
 * something to read, it draws some 300 more, and prints all that it noted, 16 bytes each.
 */
function drawProgram(): Uint8Array {
  const [records, address] = [0x1_0000, 0x100_0000];
  const source = `
    lui s0, ${(address >>> 12) + 1}
    addi s1, s0, 0
    lui s2, ${(16 * records) >>> 12}
    add s2, s2, s0
    addi s3, zero, 20
    addi a0, zero, 1
    addi a1, s0, 0
    addi a2, zero, 1
    addi a7, zero, 64
    ecall
    draw: csrrs t0, 0xc01, zero
    sd t0, 0(s1)
    addi a0, s1, 8
    addi a1, zero, 8
    addi a2, zero, 0
    addi a7, zero, 278
    ecall
    addi s1, s1, 16
    andi t0, s1, 255
    bne t0, zero, draw
    addi sp, sp, -32
    sw zero, 0(sp)
    addi t0, zero, 1
    sw t0, 4(sp)
    sd zero, 16(sp)
    sd zero, 24(sp)
    addi a0, sp, 0
    addi a1, zero, 1
    addi a2, sp, 16
    bltu s1, s2, look
    addi a2, zero, 0
    look: addi a3, zero, 0
    addi a7, zero, 73
    ecall
    addi sp, sp, 32
    beq a0, zero, draw
    bgeu s1, s2, print
    addi s3, s3, -1
    bne s3, zero, draw
    print: sub a2, s1, s0
    addi a0, zero, 1
    addi a1, s0, 0
    addi a7, zero, 64
    ecall
    add s0, s0, a0
    bltu s0, s1, print
    addi a0, zero, 0
    addi a7, zero, 93
    ecall`;
  const bytes = code(source);
  const words = [...new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)];
  return elf(words, { address, size: 4096 + 16 * records });
}

function drawsOf(bytes: Uint8Array) {
  // The first byte said that it runs; a copy does not say it again.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length >>> 4 }, (_, index) => ({
    time: Number(view.getBigUint64(16 * index, true)),
    value: view.getBigUint64(16 * index + 8, true),
  }));
}

describe('a sandbox in a file', () => {
  for (const cpus of [1, 2]) {
    it(`has programs that draw random numbers all the while draw others in each copy, with cpus: ${cpus}`, async () => {
      await using sandbox = await Sandbox.create('os:base', { memoryMiB: 128, cpus });
      await sandbox.files.write('/draw', drawProgram(), { mode: 0o755 });
      const drawing: SandboxCommand[] = [];
      for (let count = 0; count < cpus; count++) {
        const command = await sandbox.exec(['/draw'], { stdin: never() });
        await command.stdout.next();
        drawing.push(command);
      }
      await sandbox.snapshot(at('drawing'));
      using file = new SavedFile(at('drawing'));
      const { ticks } = openSnapshot(file.machine());
      await using one = await Sandbox.restore(at('drawing'));
      await using other = await Sandbox.restore(at('drawing'));
      const outputs = [one, other].map((copy) =>
        Promise.all(drawing.map((each) => copy.attach(each, { stdin: '\n' }).output())),
      );
      const [a, b] = (await Promise.all(outputs)).map((commands) =>
        commands.flatMap(({ stdout }) => drawsOf(stdout)),
      );
      const known = new Set(a!.map(({ value }) => value));
      const shared = b!.filter(({ value }) => known.has(value));
      assert.ok(shared.length > 0, 'they share what was drawn before');
      assert.ok(b!.filter(({ time }) => time > ticks).length > 100);
      const late = shared.filter(({ time }) => time > ticks).map(({ time }) => time - ticks);
      assert.deepEqual(late, [], 'ticks after the save at which both drew the same');
      rmSync(at('drawing'));
    });
  }
});
