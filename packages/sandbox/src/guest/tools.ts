import type { CallOptions } from '@anole/bytes';
import { openDeb, type PackageFile, type PackagePool, readData } from '@anole/compose';
import { fileSource } from '@anole/host';
import { SandboxError } from '../errors.ts';
import type { GuestTools } from './contents.ts';

/** The packages the guest's own programs come from, and their files. */
export const toolPackages: Readonly<Record<string, Readonly<Record<string, keyof GuestTools>>>> = {
  'busybox-static': { 'usr/bin/busybox': 'busybox' },
  quickjs: { 'usr/bin/qjs': 'qjs' },
  libc6: {
    'usr/lib/riscv64-linux-gnu/ld-linux-riscv64-lp64d.so.1': 'ld.so',
    'usr/lib/riscv64-linux-gnu/libc.so.6': 'libc.so.6',
    'usr/lib/riscv64-linux-gnu/libm.so.6': 'libm.so.6',
  },
};

/** Takes the guest's programs out of their packages. */
export async function extractTools(
  pool: PackagePool,
  packages: readonly PackageFile[],
  options: CallOptions,
): Promise<GuestTools> {
  const paths = await pool.fetchAll(packages, options);
  const tools: Partial<Record<keyof GuestTools, Uint8Array>> = {};
  for (const [index, { name }] of packages.entries()) {
    Object.assign(tools, await extract(paths[index]!.path, name));
  }
  const wanted = Object.values(toolPackages).flatMap((files) => Object.values(files));
  const missing = wanted.filter((name) => tools[name] === undefined);
  if (missing.length > 0) {
    throw new SandboxError(
      'SANDBOX_BOOT',
      `Cannot make the guest: no ${missing.join(', ')} in its packages`,
    );
  }
  return tools as GuestTools;
}

async function extract(path: string, name: string): Promise<Partial<GuestTools>> {
  const wanted = toolPackages[name] ?? {};
  const found: Partial<Record<keyof GuestTools, Uint8Array>> = {};
  using source = fileSource(path);
  for await (const entry of readData(await openDeb(source))) {
    const tool = wanted[entry.path];
    if (tool !== undefined && entry.type === 'file') found[tool] = await entry.storedBytes();
    if (Object.keys(found).length === Object.keys(wanted).length) break;
  }
  return found;
}
