import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assemble } from './assemble.ts';
import { disassemble } from './disassemble.ts';
import { decodeImmediate, encodeImmediate } from './encode.ts';
import { expandCompressed } from './expand.ts';
import { type FieldName, fields, type Instruction } from './instruction.ts';
import { findInstruction, instructions } from './table.ts';

/** Prefix of the names of binutils for RISC-V, where it is there. */
const binutils = ['riscv64-linux-gnu-', 'riscv64-unknown-elf-'].find(
  (prefix) => spawnSync(`${prefix}objdump`, ['--version']).status === 0,
);

/** Numbers from a seed, the same in each run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
  };
}

const random = generator(1);

/** A word of `instruction` with random operands; reserved rounding modes and fences left out. */
function randomWord({ mask, match, fields: used }: Instruction): number {
  const word = ((random() & ~mask) | match) >>> 0;
  const withMode = used.has('rm')
    ? (word & ~(7 << 12)) | ([0, 1, 2, 3, 4, 7][random() % 6]! << 12)
    : word;
  // Fields of fence that are reserved, and immediates of fence.i, are written as zero.
  if (used.has('pred')) return (withMode & 0x0ff0707f) >>> 0;
  if (used.has('imm12') && match === 0x100f) return match;
  return withMode >>> 0;
}

describe('the table of instructions', () => {
  test('no two encodings overlap', () => {
    for (const [index, a] of instructions.entries()) {
      for (const b of instructions.slice(index + 1)) {
        const differ = ((a.match ^ b.match) & a.mask & b.mask) !== 0;
        assert.ok(differ, `${a.name} and ${b.name}`);
      }
    }
  });

  test('names are unique, fields and fixed bits fill each word', () => {
    assert.equal(new Set(instructions.map(({ name }) => name)).size, instructions.length);
    for (const { name, mask, fields: used } of instructions) {
      const fixed = mask.toString(2).replaceAll('0', '').length;
      const free = [...used].reduce((sum, field: FieldName) => sum + fields[field].width, 0);
      assert.equal(fixed + free, 32, name);
    }
  });

  test('immediates survive encoding and decoding', () => {
    const cases = [
      ['I', [-2048, -1, 0, 5, 2047]],
      ['S', [-2048, -1, 0, 5, 2047]],
      ['B', [-4096, -2, 0, 6, 4094]],
      ['U', [0, 0x1000, 0x7ffff000, -0x80000000]],
      ['J', [-1048576, -2, 0, 0xabcde, 1048574]],
      ['shamt5', [0, 17, 31]],
      ['shamt6', [0, 33, 63]],
      ['zimm', [0, 21, 31]],
    ] as const;
    for (const [kind, values] of cases) {
      for (const value of values) {
        assert.equal(decodeImmediate(kind, encodeImmediate(kind, value)), value, kind);
      }
    }
  });

  test('disassembled and assembled again, every instruction is the same word', () => {
    for (const instruction of instructions) {
      for (let round = 0; round < 20; round++) {
        const word = randomWord(instruction);
        assert.equal(findInstruction(word)?.name, instruction.name);
        const { text } = disassemble(word, 0x1_0000_0000n);
        assert.equal(assemble(text, 0x1_0000_0000n)[0], word, text);
      }
    }
  });

  test('text that is not an instruction is refused with a code', () => {
    for (const text of [
      'nonsense',
      'addi a0, a0',
      'addi a0, a0, 5000',
      'add a0, a0, q7',
      'lw a0, 4',
    ]) {
      assert.throws(() => assemble(text), { code: 'MACHINE_BAD_ASSEMBLY' });
    }
  });
});

const skip = binutils === undefined && 'no binutils for RISC-V (apt: binutils-riscv64-linux-gnu)';

describe('against the disassembler of binutils', { skip }, () => {
  test('random words of every instruction read the same', () => {
    const words = instructions.flatMap((each) =>
      Array.from({ length: 12 }, () => randomWord(each)),
    );
    const theirs = objdumpOf(Uint32Array.from(words), 'no-aliases');
    for (const [index, word] of words.entries()) {
      const ours = disassemble(word, BigInt(index * 4)).text;
      // Conversions that are always exact: binutils knows them with RNE alone, and leaves it out.
      if (/^fcvt\.d\.(wu?|s) .*,(?!rne)r\w\w$|^fcvt\.d\.(wu?|s) \w+,\w+$/.test(ours)) continue;
      assert.equal(plain(ours), plain(theirs[index]!), `0x${word.toString(16)}`);
    }
  });

  test('compressed instructions expand to what binutils says they mean', () => {
    const halves = Array.from({ length: 0x10000 }, (_, half) => half).filter((h) => (h & 3) !== 3);
    const expanded = halves.map(expandCompressed);
    const legal = halves.filter((_, index) => expanded[index] !== 0);
    // Each half with a c.nop after it, so that targets count from the same addresses.
    const theirs = objdumpOf(
      Uint32Array.from(halves, (half) => half | 0x10000),
      'numeric',
      4,
    );
    const ours = objdumpOf(
      Uint32Array.from(expanded, (word) => word || 0x13),
      'numeric',
    );
    assert.equal(theirs.length, halves.length);
    for (const [index, half] of halves.entries()) {
      // c.addi16sp by 0 is reserved; binutils reads it all the same.
      if (half === 0x6101) continue;
      const known = !/^(\.2byte|unimp|c\.unimp)/.test(theirs[index]!);
      assert.equal(expanded[index] !== 0, known, `0x${half.toString(16)}: ${theirs[index]}`);
      if (known) assert.equal(sameMeaning(ours[index]!), sameMeaning(theirs[index]!));
    }
    assert.equal(legal.length, 46_743);
  });
});

/**
 * What objdump prints for code: mnemonic and operands of what starts at multiples of `step`. The
 * code goes through the assembler, as raw words, so that objdump knows the extensions.
 */
function objdumpOf(code: Uint32Array, options: string, step = 1): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'anole-isa-'));
  try {
    const source = join(directory, 'code.s');
    const object = join(directory, 'code.o');
    const words = Array.from(code, (word) =>
      (word & 3) === 3
        ? `.insn 4, 0x${word.toString(16)}`
        : `.insn 2, 0x${(word & 0xffff).toString(16)}\n.insn 2, 0x${(word >>> 16).toString(16)}`,
    );
    writeFileSync(source, `${words.join('\n')}\n`);
    run('as', ['-march=rv64gc_zba_zbb_zbs_zicsr_zifencei', '-o', object, source]);
    return run('objdump', ['-z', '-d', '-M', options, object])
      .split('\n')
      .map((line) => line.match(/^\s*([0-9a-f]+):\t\S+\s+\t?(.*)$/))
      .filter((match) => match !== null && Number.parseInt(match[1]!, 16) % step === 0)
      .map((match) =>
        match![2]!
          .replace(/\b([0-9a-f]+) <.*/, '0x$1')
          .replace(/\s*#.*/, '')
          .replace(/\s+/g, ' ')
          .trim(),
      );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function run(tool: string, args: readonly string[]): string {
  const result = spawnSync(`${binutils}${tool}`, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

/** Numbers in one base, CSRs by number alone. */
function plain(text: string): string {
  return text
    .replace(/^(csr\w+ \w+),[^,]+,/, '$1,csr,')
    .replace(/^fence\.tso$/, 'fence rw,rw')
    .replace(/^(fcvt\.d\.(?:wu?|s) .*),rne$/, '$1')
    .replace(/unknown/g, '0')
    .replace(/-?\b(0x[0-9a-f]+|\d+)\b/g, (number) =>
      number.startsWith('-') ? `-${BigInt(number.slice(1))}` : BigInt(number).toString(),
    );
}

/** One spelling for moves, no-ops, and hints, which binutils writes with their c. prefix. */
function sameMeaning(text: string): string {
  return text
    .replace(/^c\.(slli|srli|srai)64 (\w+)/, (_, name, r) => `${name.slice(0, 3)} ${r},${r},0x0`)
    .replace(/^c\.slli (\w+),/, 'sll $1,$1,')
    .replace(/^c\.add (\w+),/, 'add $1,$1,')
    .replace(/^c\.nop (.*)/, 'li x0,$1')
    .replace(/^c\./, '')
    .replace(/^nop$/, 'li x0,0')
    .replace(/^add (\w+),x0,(x\w+)$/, 'mv $1,$2')
    .replace(/^add (\w+),(\w+),0$/, 'mv $1,$2');
}
