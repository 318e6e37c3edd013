import type { PackageRecord } from '../archive/types.ts';

export interface SolveRequest {
  /** Names, each with an optional version or suite: `bash`, `bash=5.2.37-2`, `linux-image-riscv64/trixie`. */
  readonly packages: readonly string[];
  /** Adds every package with `Essential: yes`. */
  readonly essential: boolean;
  /** Adds every package of these priorities, such as `required`. */
  readonly priorities?: readonly string[];
  /** Follows `Recommends` too, where they can be satisfied. */
  readonly recommends: boolean;
  /** Names that must not be in the solution. */
  readonly exclude?: readonly string[];
}

/** Why a package is in the solution. */
export type Reason =
  | { readonly kind: 'requested' }
  | { readonly kind: 'essential' }
  | { readonly kind: 'priority'; readonly priority: string }
  | {
      readonly kind: 'dependency';
      readonly field: 'Pre-Depends' | 'Depends' | 'Recommends';
      /** Name of the package that wanted it. */
      readonly by: string;
      /** The clause as written: `awk | mawk (>= 1.3)`. */
      readonly clause: string;
    };

export interface Solution {
  /**
   * In an order fit for unpacking and configuring one after another: a package comes after those it
   * pre-depends on and, where no cycle forbids, after those it depends on.
   */
  readonly packages: readonly PackageRecord[];
  readonly reasons: ReadonlyMap<string, Reason>;
  /** `Recommends` clauses that could not be satisfied, as "wanted by: clause". */
  readonly skippedRecommends: readonly string[];
}
