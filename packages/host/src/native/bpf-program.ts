/** What a register of BPF is called; r10 is the frame, r1 to r5 are arguments, r0 is the result. */
type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

export interface BpfInstruction {
  readonly code: number;
  readonly to?: Register;
  readonly from?: Register;
  readonly offset?: number;
  readonly value?: number;
  /** Where a jump goes: a {@link label}. */
  readonly target?: string;
  /** Marks the place before the next instruction, and is none itself. */
  readonly label?: string;
}

const sizes = { u8: 0x10, u16: 0x08, u32: 0x00, u64: 0x18 } as const;
type Size = keyof typeof sizes;
const comparisons = { '==': 0x10, '!=': 0x50, '&': 0x40 } as const;

/**
 * Instructions of BPF. Source: Linux Documentation/bpf/standardization/instruction-set.rst (RFC 9669).
 */
export const bpf = {
  set: (to: Register, value: number): BpfInstruction => ({ code: 0xb7, to, value }),
  copy: (to: Register, from: Register): BpfInstruction => ({ code: 0xbf, to, from }),
  add: (to: Register, value: number): BpfInstruction => ({ code: 0x07, to, value }),
  or: (to: Register, value: number): BpfInstruction => ({ code: 0x47, to, value }),
  and: (to: Register, value: number): BpfInstruction => ({ code: 0x57, to, value }),
  load: (size: Size, to: Register, from: Register, offset: number): BpfInstruction => ({
    code: 0x61 | sizes[size],
    to,
    from,
    offset,
  }),
  store: (size: Size, to: Register, offset: number, from: Register): BpfInstruction => ({
    code: 0x63 | sizes[size],
    to,
    from,
    offset,
  }),
  storeValue: (size: Size, to: Register, offset: number, value: number): BpfInstruction => ({
    code: 0x62 | sizes[size],
    to,
    offset,
    value,
  }),
  /** Compares all 64 bits; `&` is whether any bit of the value is set. */
  jump: (
    register: Register,
    comparison: keyof typeof comparisons,
    value: number,
    target: string,
  ): BpfInstruction => ({ code: 0x05 | comparisons[comparison], to: register, value, target }),
  /** Below zero, as signed. */
  jumpNegative: (register: Register, target: string): BpfInstruction => ({
    code: 0xc5,
    to: register,
    value: 0,
    target,
  }),
  goto: (target: string): BpfInstruction => ({ code: 0x05, target }),
  /** A function of the kernel, by its number in enum bpf_func_id. */
  call: (helper: number): BpfInstruction => ({ code: 0x85, value: helper }),
  /** The table behind a descriptor; takes two places. */
  table: (to: Register, fd: number): BpfInstruction => ({ code: 0x18, to, from: 1, value: fd }),
  label: (label: string): BpfInstruction => ({ code: 0, label }),
  exit: { code: 0x95 } as BpfInstruction,
} as const;

const WIDE = 0x18;
const places = ({ code, label }: BpfInstruction): number =>
  label !== undefined ? 0 : code === WIDE ? 2 : 1;

/** The bytes of a program, eight for each place. */
export function assembleBpf(program: readonly BpfInstruction[]): Uint8Array {
  const labels = new Map<string, number>();
  let count = 0;
  for (const each of program) {
    if (each.label !== undefined) labels.set(each.label, count);
    count += places(each);
  }
  const bytes = new Uint8Array(count * 8);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const each of program) {
    const size = places(each);
    if (size === 0) continue;
    const { code, to = 0, from = 0, value = 0, target, offset } = each;
    bytes[at * 8] = code;
    bytes[at * 8 + 1] = (from << 4) | to;
    const steps = target === undefined ? (offset ?? 0) : labels.get(target)! - at - 1;
    view.setInt16(at * 8 + 2, steps, true);
    view.setInt32(at * 8 + 4, value, true);
    at += size;
  }
  return bytes;
}
