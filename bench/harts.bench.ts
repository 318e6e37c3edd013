import { onDisk, qemu, workGuest, workHere, workInQemu } from './guest-runs.ts';
import type { Bench } from './harness.ts';
import { hasProgram } from './programs.ts';

/** The same twice, side by side: a hart for each, where there are two. */
const both = (work: string): string => `work() { ${work}; }\nwork & work & wait`;

const busybox = '/bin/busybox';
const workloads = [
  { name: 'sh loop', work: 'i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done' },
  {
    name: 'sha256sum',
    work: `${busybox} dd if=/dev/zero bs=65536 count=4000 2>/dev/null | ${busybox} sha256sum`,
  },
  {
    name: 'gzip',
    work: `for i in 1 2 3; do ${busybox} cat ${busybox} ${busybox} | ${busybox} gzip -c; done >/dev/null`,
  },
  {
    name: 'many processes',
    work: `i=0; while [ $i -lt 150 ]; do ${busybox} true; i=$((i+1)); done`,
  },
] as const;

/**
 * Two jobs on two harts beside the same jobs on one (to be 1.6 times as fast: a ratio of 0.625), and
 * beside QEMU with two. Only two idle cores tell anything.
 */
const bench: Bench = async (report) => {
  for (const { name, work } of workloads) {
    const guest = await workGuest(both(work));
    await report.compare({
      name: `${name}, on two harts and on one`,
      ours: { name: 'two harts', run: () => workHere(guest, 2) },
      peer: { name: 'one hart', run: () => workHere(guest, 1) },
      runs: 3,
      target: 0.625,
    });
    if (!hasProgram(qemu)) {
      report.skip(`${name}, on two harts`, `${qemu} is not installed`);
      continue;
    }
    await using files = await onDisk(guest);
    await report.compare({
      name: `${name}, on two harts`,
      ours: { name: 'anole', run: () => workHere(guest, 2) },
      peer: { name: 'QEMU TCG', run: () => workInQemu(guest.kernel, files.initrd, 2) },
      runs: 3,
      target: 1.5,
    });
  }
};
export default bench;
