import { fetchKernel, openArchive, openDeb, readData, solve } from '@anole/compose';
import { fileSource } from '@anole/host';
import { writeCpio } from '../packages/sandbox/src/guest/cpio.ts';

export interface BenchGuest {
  /** Debian's kernel for riscv64. */
  readonly kernel: string;
  readonly initrd: Uint8Array;
}

/** Printed on the console when the guest has reached its init. */
export const readyMark = 'GUEST-READY';

/** A file of the guest's, at its root. */
interface GuestFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Default 0o644. */
  readonly mode?: number;
}

/** A kernel and an initramfs of busybox that says it is there, runs `script`, and powers off. */
export async function benchGuest(
  script: string,
  files: readonly GuestFile[] = [],
): Promise<BenchGuest> {
  const kernel = await fetchKernel();
  const busybox = await fetchBusybox();
  const init = `#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs dev /dev\necho ${readyMark}\n${script}\n/bin/busybox poweroff -f\n`;
  const initrd = writeCpio([
    { type: 'directory', path: 'bin', mode: 0o755 },
    { type: 'directory', path: 'dev', mode: 0o755 },
    { type: 'file', path: 'bin/busybox', mode: 0o755, bytes: busybox },
    { type: 'symlink', path: 'bin/sh', mode: 0o777, target: 'busybox' },
    { type: 'file', path: 'init', mode: 0o755, bytes: new TextEncoder().encode(init) },
    ...files.map((file) => ({ type: 'file', mode: 0o644, ...file }) as const),
  ]);
  return { kernel: kernel.path, initrd };
}

async function fetchBusybox(): Promise<Uint8Array> {
  const archive = await openArchive({
    suites: ['trixie'],
    components: ['main'],
    architecture: 'riscv64',
  });
  const record = solve(archive.packages, {
    packages: ['busybox-static'],
    essential: false,
    recommends: false,
  }).packages.find(({ name }) => name === 'busybox-static');
  const { path } = await archive.fetch(record!);
  using source = fileSource(path);
  for await (const entry of readData(await openDeb(source))) {
    if (entry.path === 'usr/bin/busybox') return await entry.storedBytes();
  }
  throw new Error('busybox-static has no usr/bin/busybox');
}
