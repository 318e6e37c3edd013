import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchKernelModules, type KernelOptions } from '@anole/compose/ensure';
import { cacheDirectory, writeFileAtomically } from '@anole/host';
import { formatIpv4, guestNetwork } from '@anole/net';
import { writeCpio } from './cpio.ts';

/** The driver of the network device, behind what it needs. */
const modules = ['failover', 'net_failover', 'virtio_net'];
/** Beside the agent's files: only a guest that has a network device has them. */
const directory = 'anole/modules';

const { gateway, guest, range } = guestNetwork;

/**
 * What the first process does where there is a network. All sandboxes have the same addresses, so it is
 * done before a machine is kept as a template. IPv6 is off: there is nobody to speak it with.
 */
export const networkSetup = `if [ -d /${directory} ]; then
  for module in /${directory}/*; do /anole/busybox insmod $module; done
  echo 1 > /newroot/proc/sys/net/ipv6/conf/eth0/disable_ipv6
  /anole/busybox ip address add ${formatIpv4(guest)}/${range.prefix} dev eth0
  /anole/busybox ip link set eth0 up
  /anole/busybox ip route add default via ${formatIpv4(gateway)}
fi
`;

/**
 * File with an archive that the kernel unpacks behind the guest's first file system: the modules for
 * the network. Made at first use, then kept in the cache as `guest/network-<hash>.cpio`.
 */
export async function ensureNetworkModules(options: KernelOptions): Promise<string> {
  const paths = await fetchKernelModules(modules, options);
  const looks = await Promise.all(paths.map((path) => stat(path)));
  const parts = paths.map((path, at) => `${path}:${looks[at]!.size}:${looks[at]!.mtimeMs}`);
  const hash = createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 32);
  const path = join(options.cache ?? cacheDirectory(), 'guest', `network-${hash}.cpio`);
  if (await stat(path).catch(() => undefined)) return path;
  const files = await Promise.all(paths.map((each) => readFile(each)));
  const entries = files.map((bytes, at) => {
    const name = `${at}-${modules[at]}.ko`; // in the order of loading
    return { path: `${directory}/${name}`, type: 'file', mode: 0o644, bytes } as const;
  });
  const place = { path: directory, type: 'directory', mode: 0o755 } as const;
  await writeFileAtomically(path, writeCpio([place, ...entries]));
  return path;
}
