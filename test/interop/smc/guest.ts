import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchKernel, fetchKernelModules } from '@anole/compose';
import { type CpioEntry, writeCpio } from '../../../packages/sandbox/src/guest/cpio.ts';
import { ensureInitramfs } from '../../../packages/sandbox/src/guest/initramfs.ts';
import { GuestSockets } from './guest-sockets.ts';
import { layWire, startMachine, type Wire, whyNoMachine } from './machine.ts';
import { addSoftRoce, askIn } from './netlink.ts';
import { callerProgram, SystemCalls } from './system-calls.ts';

const qemu = 'qemu-system-riscv64';
/** In the order of loading. */
const modules = [
  ...['failover', 'net_failover', 'virtio_net'],
  ...['crc32_generic', 'udp_tunnel', 'ip6_udp_tunnel'],
  ...['ib_core', 'ib_uverbs', 'rdma_rxe', 'smc'],
];

/** Why there can be no guest; false where there can. */
export const whyNoGuest = () => whyNoMachine(qemu, 'qemu-system-misc');

/** Debian's kernel in QEMU, with SMC over soft-RoCE, and sockets that are driven from here. */
export class Guest implements AsyncDisposable {
  readonly sockets: GuestSockets;
  readonly #parts: AsyncDisposableStack;

  static async boot(wire: Wire): Promise<Guest> {
    await using parts = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), 'anole-smc-'));
    parts.defer(() => rmSync(directory, { recursive: true, force: true }));
    const files = await fetchKernelModules(modules);
    const { path: kernel } = await fetchKernel();
    const initrd = join(directory, 'initrd');
    const own = writeCpio(await entries(files, `${wire.address}/${wire.prefix}`));
    writeFileSync(initrd, Buffer.concat([readFileSync(await ensureInitramfs()), own]));
    const path = join(directory, 'calls');
    const server = parts.adopt(createServer().listen(path), (each) => void each.close());
    const connected = once(server, 'connection') as Promise<[Socket]>;
    const died = startMachine(parts, qemu, [
      ...['-M', 'virt', '-m', '512'],
      ...['-kernel', kernel, '-initrd', initrd],
      ...layWire(parts, wire),
      ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=calls,path=${path}`],
      ...['-device', 'virtserialport,chardev=calls,name=calls'],
    ]);
    const [port] = await Promise.race([connected, died]);
    const sockets = new GuestSockets(new SystemCalls(port));
    await Promise.race([addSoftRoce(askIn(sockets), 'rxe0', 'eth0'), died]);
    return new Guest(sockets, parts.move());
  }

  private constructor(sockets: GuestSockets, parts: AsyncDisposableStack) {
    this.sockets = sockets;
    this.#parts = parts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}

/** What is unpacked over the guest's first file system, whose first process is replaced. */
async function entries(files: readonly string[], address: string): Promise<CpioEntry[]> {
  const init = `#!/anole/busybox sh
b=/anole/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
for module in /smc/*.ko; do $b insmod $module || echo "cannot load $module"; done
echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
$b ip address add ${address} dev eth0
$b ip link set lo up
$b ip link set eth0 up
for port in /dev/vport*; do exec /smc/calls 0<>$port 1>&0; done
`;
  const directory = (path: string) => ({ path, type: 'directory', mode: 0o755 }) as const;
  const file = (path: string, mode: number, bytes: Uint8Array) =>
    ({ path, type: 'file', mode, bytes }) as const;
  return [
    ...['dev', 'proc', 'smc'].map(directory),
    file('init', 0o755, Buffer.from(init)),
    file('smc/calls', 0o755, callerProgram()),
    ...files.map((path, at) => file(`smc/${10 + at}.ko`, 0o644, readFileSync(path))),
  ];
}
