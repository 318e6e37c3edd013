export type Relation = '<<' | '<=' | '=' | '>=' | '>>';

/** One alternative of a clause: `libc6:any (>= 2.36) [riscv64 arm64] <!nocheck>`. */
export interface Dependency {
  readonly name: string;
  /** The qualifier after the colon: `any`, `native` or an architecture. */
  readonly qualifier?: string;
  readonly relation?: Relation;
  readonly version?: string;
}

/** Clauses, all of which must hold; in each, one alternative must. */
export type DependencyField = readonly (readonly Dependency[])[];
