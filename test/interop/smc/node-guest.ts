import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fetchKernel, fetchKernelModules } from '@anole/compose';
import { type CpioEntry, writeCpio } from '../../../packages/sandbox/src/guest/cpio.ts';
import { layWire, runs, startMachine, type Wire, whyNoMachine } from './machine.ts';
import type { Answer, Command } from './node-peer.ts';

const qemu = 'qemu-system-x86_64';
const busybox = '/bin/busybox';
/** In the order of loading. */
const modules = [
  ...['failover', 'net_failover', 'virtio_net'],
  ...['netfs', '9pnet', '9pnet_virtio', '9p'],
  ...['crc32_generic', 'udp_tunnel', 'ip6_udp_tunnel'],
  ...['ib_core', 'ib_uverbs', 'rdma_rxe', 'smc', 'smc_diag'],
];

/** Why there can be no guest; false where there can. */
export function whyNoNodeGuest(): string | false {
  if (process.arch !== 'x64') return 'runs the Node of this host in a guest, which is one of x64';
  if (!runs(busybox, '--help')) return 'busybox is not installed (Debian: busybox-static)';
  return whyNoMachine(qemu, 'qemu-system-x86');
}

/**
 * Debian's kernel in QEMU, with SMC over soft-RoCE, in which the Node and the sources of this host run: the
 * guest reads the host's files.
 */
export class NodeGuest implements AsyncDisposable {
  readonly #control: Socket;
  readonly #answers: AsyncIterator<string>;
  readonly #parts: AsyncDisposableStack;

  static async boot(wire: Wire): Promise<NodeGuest> {
    await using parts = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), 'anole-smc-'));
    parts.defer(() => rmSync(directory, { recursive: true, force: true }));
    const files = await fetchKernelModules(modules, { architecture: 'amd64' });
    const { path: kernel } = await fetchKernel({ architecture: 'amd64' });
    const network = layWire(parts, wire);
    const [own = ''] = wire.addresses;
    const server = parts.adopt(createServer().listen(0, own), (each) => void each.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const connected = once(server, 'connection') as Promise<[Socket]>;
    const initrd = join(directory, 'initrd');
    writeFileSync(initrd, writeCpio(await entries(files, wire, port)));
    const died = startMachine(parts, qemu, [
      ...['-accel', 'tcg', '-cpu', 'max', '-m', '768', '-kernel', kernel, '-initrd', initrd],
      ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
      ...network,
    ]);
    const [control] = await Promise.race([connected, died]);
    return new NodeGuest(control, parts.move());
  }

  private constructor(control: Socket, parts: AsyncDisposableStack) {
    this.#control = control;
    this.#answers = createInterface({ input: control })[Symbol.asyncIterator]();
    this.#parts = parts;
  }

  /** Has the program in the guest do something. */
  async ask(command: Command): Promise<Answer> {
    this.#control.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('The program in the guest has ended');
    return JSON.parse(value) as Answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#control.destroy();
    await this.#parts.disposeAsync();
  }
}

/** The first file system: it mounts the host's, read-only, and runs the program there. */
async function entries(
  files: readonly string[],
  { address, prefix, addresses }: Wire,
  port: number,
): Promise<CpioEntry[]> {
  const policy = { kernel: true, rules: [{ port, mode: 'off' }] };
  const program = join(import.meta.dirname, 'node-peer.ts');
  const register = join(import.meta.dirname, '../../../packages/smc/src/register.ts');
  const init = `#!/busybox sh
b=/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
for module in /modules/*.ko; do $b insmod $module || echo "cannot load $module"; done
echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
$b ip address add ${address}/${prefix} dev eth0
$b ip link set lo up
$b ip link set eth0 up
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=1048576,cache=loose host /host
for each in dev proc; do $b mount -o bind /$each /host/$each; done
$b mount -t tmpfs tmp /host/mnt
echo '${JSON.stringify(policy)}' > /host/mnt/policy.json
export ANOLE_SMC_POLICY=/mnt/policy.json
exec $b chroot /host ${process.execPath} -C anole-source --import ${register} ${program} ${addresses[0]} ${port}
`;
  const directory = (path: string) => ({ path, type: 'directory', mode: 0o755 }) as const;
  const file = (path: string, mode: number, bytes: Uint8Array) =>
    ({ path, type: 'file', mode, bytes }) as const;
  return [
    ...['dev', 'proc', 'host', 'modules'].map(directory),
    file('init', 0o755, Buffer.from(init)),
    file('busybox', 0o755, readFileSync(busybox)),
    ...files.map((path, at) => file(`modules/${10 + at}.ko`, 0o644, readFileSync(path))),
  ];
}
