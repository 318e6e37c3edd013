import type { Operator, ValueType } from '@anole/bytes/wasm';

/**
 * The language in which the table states what an instruction does: WebAssembly's operators on
 * values, and nodes for what belongs to the guest. A back end decides what the guest nodes become:
 * the interpreter decodes operands as it runs, a translator puts constants in their place.
 *
 * Rules that each back end keeps: the parts of an instruction are evaluated in order; when one of
 * them traps, nothing of the instruction's later effects happens; so a semantics never changes
 * guest state before its last part that can trap.
 */
export type Expr =
  | { readonly kind: 'constant'; readonly type: 'i32' | 'i64'; readonly value: bigint }
  | { readonly kind: 'op'; readonly name: Operator; readonly args: readonly Expr[] }
  /** An integer register, i64. */
  | { readonly kind: 'x'; readonly operand: 'rs1' | 'rs2' }
  /** All 64 bits of a floating-point register, i64. */
  | { readonly kind: 'f'; readonly operand: 'rs1' | 'rs2' | 'rs3' }
  /** The immediate of the encoding, sign- or zero-extended as its field says, i64. */
  | { readonly kind: 'immediate' }
  /** Address of this instruction, i64. */
  | { readonly kind: 'pc' }
  /** Address of the instruction after it (this one may have 2 or 4 bytes), i64. */
  | { readonly kind: 'next' }
  | { readonly kind: 'temporary'; readonly temporary: Temporary }
  /** Both sides are evaluated. `condition` is i32. */
  | {
      readonly kind: 'select';
      readonly condition: Expr;
      readonly then: Expr;
      readonly otherwise: Expr;
    }
  /** Only one side is evaluated: where the other would be undefined (division). */
  | {
      readonly kind: 'choose';
      readonly type: ValueType;
      readonly condition: Expr;
      readonly then: Expr;
      readonly otherwise: Expr;
    }
  /** A load from guest memory, extended to i64. */
  | {
      readonly kind: 'load';
      readonly width: Width;
      readonly signed: boolean;
      readonly address: Expr;
    }
  | MemoryUpdate
  | FloatOperation;

/** Bytes of a memory access. */
export type Width = 1 | 2 | 4 | 8;

/** A value computed once and used more than once. Compared by identity. */
export interface Temporary {
  readonly type: ValueType;
}

export type AtomicOperation =
  | 'swap'
  | 'add'
  | 'xor'
  | 'and'
  | 'or'
  | 'min'
  | 'max'
  | 'minu'
  | 'maxu';

/**
 * Atomic accesses; misaligned ones trap. `atomic` and `loadReserved` give the old value in memory,
 * sign-extended to i64; `storeConditional` gives 0 where it stored and 1 where not.
 */
export type MemoryUpdate =
  | { readonly kind: 'loadReserved'; readonly width: 4 | 8; readonly address: Expr }
  | {
      readonly kind: 'storeConditional';
      readonly width: 4 | 8;
      readonly address: Expr;
      readonly value: Expr;
    }
  | {
      readonly kind: 'atomic';
      readonly operation: AtomicOperation;
      readonly width: 4 | 8;
      readonly address: Expr;
      readonly value: Expr;
    };

/** Precision of a floating-point operation: binary32 or binary64. */
export type Precision = 's' | 'd';

export type FloatName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'sqrt'
  /** a × b + c, with the signs of the product and of c turned as the name says. */
  | 'madd'
  | 'msub'
  | 'nmsub'
  | 'nmadd'
  | 'min'
  | 'max'
  | 'eq'
  | 'lt'
  | 'le'
  | 'class'
  /** From the other precision. */
  | 'convert'
  | 'toW'
  | 'toWU'
  | 'toL'
  | 'toLU'
  | 'fromW'
  | 'fromWU'
  | 'fromL'
  | 'fromLU';

/**
 * IEEE 754 arithmetic with RISC-V's rounding modes and flags. The rounding mode is that of the
 * instruction's rm field (or of frm); a reserved mode is an illegal instruction. Float arguments
 * and results are NaN-boxed i64; integer ones are i64 as integer registers hold them.
 */
export interface FloatOperation {
  readonly kind: 'float';
  readonly name: FloatName;
  /** Of the arguments for comparisons and conversions to integers, of the result otherwise. */
  readonly precision: Precision;
  readonly args: readonly Expr[];
}

export type Stmt =
  | { readonly kind: 'let'; readonly temporary: Temporary; readonly value: Expr }
  /** Writes rd; x0 stays 0. */
  | { readonly kind: 'setX'; readonly value: Expr }
  /** Writes all 64 bits of floating-point rd and marks the state dirty. */
  | { readonly kind: 'setF'; readonly value: Expr }
  | { readonly kind: 'store'; readonly width: Width; readonly address: Expr; readonly value: Expr }
  /** Goes to an address. Last of its semantics. */
  | { readonly kind: 'jump'; readonly target: Expr }
  /** Goes to pc + immediate where the i32 `condition` is not zero. Last of its semantics. */
  | { readonly kind: 'branch'; readonly condition: Expr }
  /** Illegal instruction unless mstatus.FS is on. First of its semantics. */
  | { readonly kind: 'needsFloat' }
  | { readonly kind: 'csr'; readonly action: CsrAction; readonly source: Expr }
  | { readonly kind: 'system'; readonly action: SystemAction };

/** Zicsr: which of read and write happen follows from the register fields, as the standard says. */
export type CsrAction = 'write' | 'set' | 'clear';

export type SystemAction =
  | 'ecall'
  | 'ebreak'
  | 'mret'
  | 'sret'
  | 'wfi'
  /** Orders memory; nothing to do for one hart. */
  | 'fence'
  /** Makes stores visible to fetches. */
  | 'fence.i'
  /** Forgets translations of address rs1 (all where rs1 is x0). */
  | 'sfence.vma';
