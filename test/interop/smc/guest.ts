import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchKernel, fetchKernelModules } from '@anole/compose';
import { type CpioEntry, writeCpio } from '../../../packages/sandbox/src/guest/cpio.ts';
import { ensureInitramfs } from '../../../packages/sandbox/src/guest/initramfs.ts';
import { GuestSockets } from './guest-sockets.ts';
import { addSoftRoce } from './netlink.ts';
import { callerProgram, SystemCalls } from './system-calls.ts';

const qemu = 'qemu-system-riscv64';
/** In the order of loading. */
const modules = [
  ...['failover', 'net_failover', 'virtio_net'],
  ...['crc32_generic', 'udp_tunnel', 'ip6_udp_tunnel'],
  ...['ib_core', 'ib_uverbs', 'rdma_rxe', 'smc'],
];

/** Why there can be no guest; false where there can. */
export function whyNoGuest(): string | false {
  const has = (program: string, flag: string) => spawnSync(program, [flag]).status === 0;
  if (process.getuid!() !== 0) return 'needs root, for a network device and BPF';
  if (!has(qemu, '--version')) return `${qemu} is not installed (Debian: qemu-system-misc)`;
  return has('ip', '-V') ? false : 'ip is not installed (Debian: iproute2)';
}

/** Debian's kernel in QEMU, with SMC over soft-RoCE, and sockets that are driven from here. */
export class Guest implements AsyncDisposable {
  readonly sockets: GuestSockets;
  readonly #parts: AsyncDisposableStack;

  /**
   * @param device name of the network device of the host that is made for it
   * @param addresses of the host, in one network, the first bits of which `prefix` counts
   * @param address of the guest, in the same network
   */
  static async boot(options: {
    readonly device: string;
    readonly addresses: readonly string[];
    readonly address: string;
    readonly prefix: number;
  }): Promise<Guest> {
    const { device, addresses, address, prefix } = options;
    await using parts = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), 'anole-smc-'));
    parts.defer(() => rmSync(directory, { recursive: true, force: true }));
    const files = await fetchKernelModules(modules);
    const { path: kernel } = await fetchKernel();
    const initrd = join(directory, 'initrd');
    const own = writeCpio(await entries(files, `${address}/${prefix}`));
    writeFileSync(initrd, Buffer.concat([readFileSync(await ensureInitramfs()), own]));
    ip('tuntap', 'add', 'dev', device, 'mode', 'tap');
    parts.defer(() => ip('link', 'delete', device));
    for (const each of addresses) ip('address', 'add', `${each}/${prefix}`, 'dev', device);
    ip('link', 'set', device, 'up');
    const path = join(directory, 'calls');
    const server = parts.adopt(createServer().listen(path), (each) => void each.close());
    const connected = once(server, 'connection') as Promise<[Socket]>;
    const { machine, died } = start([
      ...['-kernel', kernel, '-initrd', initrd],
      ...['-netdev', `tap,id=net,ifname=${device},script=no,downscript=no`],
      ...['-device', 'virtio-net-pci,netdev=net,mac=52:54:00:00:00:02,romfile='],
      ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=calls,path=${path}`],
      ...['-device', 'virtserialport,chardev=calls,name=calls'],
    ]);
    parts.defer(async () => {
      machine.kill('SIGKILL');
      await died.catch(() => {});
    });
    const [port] = await Promise.race([connected, died]);
    const sockets = new GuestSockets(new SystemCalls(port));
    await Promise.race([addSoftRoce(sockets, 'rxe0', 'eth0'), died]);
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

/** A machine, and a promise that is rejected when it ends, with what its console showed. */
function start(args: readonly string[]) {
  const common = ['-M', 'virt', '-m', '512', '-display', 'none', '-monitor', 'none', '-no-reboot'];
  const append = ['-append', 'console=ttyS0 loglevel=4 panic=-1 cryptomgr.notests'];
  const machine = spawn(qemu, [...common, '-serial', 'stdio', ...append, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  machine.stdout.on('data', (data) => {
    text += data;
  });
  const died = once(machine, 'exit').then((): never => {
    throw new Error(`QEMU ended:\n${text}`);
  });
  died.catch(() => {});
  return { machine, died };
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
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
