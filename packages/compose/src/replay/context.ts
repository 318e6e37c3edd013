import type { Accounts } from './accounts.ts';
import type { Alternative } from './alternatives.ts';
import type { Rootfs } from './rootfs.ts';

/** dpkg's record of a file that another name stands for: dpkg-divert(1). */
export interface Diversion {
  readonly path: string;
  readonly to: string;
  readonly package: string;
}

/** What the replay of one package's scripts may look at and change. */
export interface ReplayContext {
  readonly rootfs: Rootfs;
  readonly accounts: Accounts;
  /** Debian's name: `riscv64`. */
  readonly architecture: string;
  /** `riscv64-linux-gnu`. */
  readonly triplet: string;
  readonly alternatives: Alternative[];
  readonly diversions: Diversion[];
}

/** GNU triplets of the architectures that images are made for. Debian, dpkg-architecture(1). */
export const triplets: Readonly<Record<string, string>> = {
  amd64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  riscv64: 'riscv64-linux-gnu',
};
