// A machine of QEMU's whose root is a disk over NBD.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchKernel, fetchKernelModules } from '@anole/compose';
import { run } from '../../packages/oci/src/testing/tools.ts';
import { type CpioEntry, writeCpio } from '../../packages/sandbox/src/guest/cpio.ts';
import { ensureInitramfs } from '../../packages/sandbox/src/guest/initramfs.ts';

/** In the order of loading. */
const modules = ['crc32c_generic', 'libcrc32c', 'virtio_blk', 'erofs'];

/** A busybox for riscv64 that needs no libraries. */
export async function guestBusybox(): Promise<Uint8Array> {
  const initramfs = await ensureInitramfs();
  const hex = `cpio --extract --quiet --to-stdout anole/busybox < '${initramfs}' | od -An -v -tx1`;
  return Uint8Array.from(run('sh', '-c', hex).trim().split(/\s+/), (byte) => Number(`0x${byte}`));
}

/**
 * Boots Debian's kernel in QEMU, with an EROFS disk as its root, and runs a command of it.
 *
 * @param disk as QEMU names it: `nbd+unix:///NAME?socket=PATH`
 * @param scratch a directory
 * @returns what the console showed until the machine ended
 */
export async function bootFrom(disk: string, command: string, scratch: string): Promise<string> {
  const files = await fetchKernelModules(modules);
  const { path: kernel } = await fetchKernel();
  const initrd = join(scratch, 'initrd');
  writeFileSync(
    initrd,
    Buffer.concat([readFileSync(await ensureInitramfs()), writeCpio(entries(files, command))]),
  );
  const machine = spawn(
    'qemu-system-riscv64',
    [
      ...['-M', 'virt', '-m', '256', '-nographic', '-monitor', 'none', '-no-reboot'],
      ...['-kernel', kernel, '-initrd', initrd],
      ...['-append', 'console=ttyS0 loglevel=4 panic=-1 cryptomgr.notests'],
      ...['-drive', `file=${disk},format=raw,readonly=on,if=none,id=root`],
      ...['-device', 'virtio-blk-pci,drive=root'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: 600_000 },
  );
  let text = '';
  for (const stream of [machine.stdout, machine.stderr]) {
    stream.on('data', (piece: Buffer) => {
      text += piece;
    });
  }
  await new Promise((resolve) => machine.on('close', resolve));
  return text;
}

/** What is unpacked over the guest's first file system, whose first process is replaced. */
function entries(files: readonly string[], command: string): CpioEntry[] {
  const init = `#!/anole/busybox sh
b=/anole/busybox
$b mount -t devtmpfs dev /dev
for module in /nbd/*.ko; do $b insmod $module || echo "cannot load $module"; done
$b mount -t erofs -o ro /dev/vda /root && $b mount -t devtmpfs dev /root/dev
exec $b switch_root /root /bin/busybox sh -c '${command}; /bin/busybox poweroff -f'
`;
  const directory = (path: string) => ({ path, type: 'directory', mode: 0o755 }) as const;
  const file = (path: string, mode: number, bytes: Uint8Array) =>
    ({ path, type: 'file', mode, bytes }) as const;
  return [
    ...['dev', 'root', 'nbd'].map(directory),
    file('init', 0o755, Buffer.from(init)),
    ...files.map((path, at) => file(`nbd/${10 + at}.ko`, 0o644, readFileSync(path))),
  ];
}
