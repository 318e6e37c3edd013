import { INITIAL_BYTES, SCRATCH_BYTES, save } from './layout.ts';
import type { Program } from './program.ts';

const names = ['trap count', 'trap hash', 'last cause', 'last epc', 'last tval'];

/** The first difference of two runs in words, or undefined where they are equal. */
export function firstDifference(
  program: Program,
  ours: Uint8Array,
  theirs: Uint8Array,
): string | undefined {
  const reports = program.blocks.length * save.reportBytes;
  const expected = reports + SCRATCH_BYTES + 128;
  for (let at = 0; at < Math.min(ours.length, theirs.length); at++) {
    if (ours[at] === theirs[at]) continue;
    return at < reports ? inReport(program, ours, theirs, at) : `memory differs at ${at - reports}`;
  }
  if (ours.length === theirs.length && ours.length === expected) return undefined;
  return `ours printed ${ours.length} bytes, QEMU ${theirs.length}, expected ${expected}`;
}

function inReport(program: Program, ours: Uint8Array, theirs: Uint8Array, at: number): string {
  const index = Math.floor(at / save.reportBytes);
  const { mode, start, halves } = program.blocks[index]!;
  const row = new DataView(program.segments[2]!.bytes.buffer, index * INITIAL_BYTES);
  const lines = [`block ${index} in ${mode} at ${start.toString(16)}`];
  const base = index * save.reportBytes;
  for (let slot = 0; slot < save.reportBytes; slot += 8) {
    const [a, b] = [ours, theirs].map((bytes) => double(bytes, base + slot));
    if (a === b) continue;
    const before =
      slot < INITIAL_BYTES ? `, before ${row.getBigUint64(slot, true).toString(16)}` : '';
    lines.push(`  ${nameOf(slot)}: ours ${a!.toString(16)}, QEMU ${b!.toString(16)}${before}`);
  }
  lines.push('  last trap by QEMU:');
  for (let slot = save.trapCount; slot < save.reportBytes; slot += 8) {
    lines.push(`    ${nameOf(slot)} ${double(theirs, base + slot).toString(16)}`);
  }
  lines.push(...listing(start, halves));
  return lines.join('\n');
}

function nameOf(slot: number): string {
  if (slot < save.f) return `x${slot / 8}`;
  if (slot < save.fcsr) return `f${(slot - save.f) / 8}`;
  return slot === save.fcsr ? 'fcsr' : names[(slot - save.trapCount) / 8]!;
}

function double(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
}

function listing(start: number, halves: Uint16Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < halves.length; ) {
    const wide = (halves[at]! & 3) === 3;
    const word = wide ? (halves[at]! | (halves[at + 1]! << 16)) >>> 0 : halves[at]!;
    lines.push(`  ${(start + at * 2).toString(16)}: ${word.toString(16)}`);
    at += wide ? 2 : 1;
  }
  return lines;
}
