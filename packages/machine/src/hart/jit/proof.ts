import type { FieldName } from '../../isa/instruction.ts';
import { instructions } from '../../isa/table.ts';
import { compiledCsrs } from './csrs.ts';
import { Explorer } from './explore.ts';
import { regionsModule } from './module.ts';
import { packRegions, unpackRegions } from './packed-regions.ts';
import type { PlacedRegion } from './translate.ts';

/** One instruction for each thing that a hart and its compiled code have to agree on; all would take 70 ms. */
const straight = ['ld', 'sw', 'fld', 'fsd', 'amoadd.w', 'lr.d', 'sc.d', 'fadd.d', 'csrrw', 'csrrs'];
const jumps = ['beq', 'jal', 'jalr'];

/**
 * Regions, packed, that show in what is made of them where state, TLBs and tables of code lie. All CSRs that
 * compiled code knows are in them.
 */
export function proofRegions(): Int32Array<ArrayBuffer> {
  return packRegions([straight.flatMap(wordsOf), ...jumps.map(wordsOf)].map(regionOf));
}

/** What this thread makes of {@link proofRegions}. A thread of the same sources makes the same. */
export function proofOf(regions: Int32Array): Uint8Array<ArrayBuffer> {
  return regionsModule(unpackRegions(regions), { fused: false, shared: false });
}

/** Bit at which a field begins that has the number of a register. */
const registers = { rd: 7, rs1: 15, rs2: 20, rs3: 27 } as const satisfies Partial<
  Record<FieldName, number>
>;
const CSR_AT = 20;
const DYNAMIC_ROUNDING = 7 << 12;

function wordsOf(name: string): number[] {
  const { match, fields } = instructions.find((each) => each.name === name)!;
  let word = match | (fields.has('rm') ? DYNAMIC_ROUNDING : 0);
  for (const [at, [name, bit]] of Object.entries(registers).entries()) {
    if (fields.has(name as FieldName)) word |= (10 + at) << bit;
  }
  const csrs = fields.has('csr') ? [...compiledCsrs] : [0];
  return csrs.map((csr) => (word | (csr << CSR_AT)) >>> 0);
}

function regionOf(words: readonly number[]): PlacedRegion {
  const halves = new Uint16Array(Uint32Array.from(words).buffer);
  const explorer = new Explorer(
    (offset) => halves[offset / 2],
    () => false,
    words.length,
  );
  explorer.explore([0]);
  const region = explorer.region();
  return { ...region, places: new Map(region.pages.map((page) => [page, page])) };
}
