import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/** Why there can be no guest in this program of QEMU; false where there can. */
export function whyNoMachine(qemu: string, packageName: string): string | false {
  if (process.getuid!() !== 0) return 'needs root, for a network device and BPF';
  if (!runs(qemu, '--version')) return `${qemu} is not installed (Debian: ${packageName})`;
  return runs('ip', '-V') ? false : 'ip is not installed (Debian: iproute2)';
}

export const runs = (program: string, flag: string): boolean =>
  spawnSync(program, [flag]).error === undefined;

/** A network between this host and a guest. */
export interface Wire {
  /** Name of the network device of the host that is made for it. */
  readonly device: string;
  /** Of the host, in one network, the first bits of which `prefix` counts. */
  readonly addresses: readonly string[];
  /** Of the guest, in the same network. */
  readonly address: string;
  readonly prefix: number;
}

/** Makes the host's end, until `parts` are disposed. @returns options of QEMU for the guest's end */
export function layWire(parts: AsyncDisposableStack, wire: Wire): string[] {
  const { device, addresses, prefix } = wire;
  ip('tuntap', 'add', 'dev', device, 'mode', 'tap');
  parts.defer(() => ip('link', 'delete', device));
  for (const each of addresses) ip('address', 'add', `${each}/${prefix}`, 'dev', device);
  ip('link', 'set', device, 'up');
  return [
    ...['-netdev', `tap,id=net,ifname=${device},script=no,downscript=no`],
    ...['-device', 'virtio-net-pci,netdev=net,mac=52:54:00:00:00:02,romfile='],
  ];
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

/**
 * Starts a machine that is killed when `parts` are disposed.
 *
 * @returns rejected when it ends before, with what its console showed
 */
export function startMachine(
  parts: AsyncDisposableStack,
  qemu: string,
  args: readonly string[],
): Promise<never> {
  const common = ['-display', 'none', '-monitor', 'none', '-no-reboot', '-serial', 'stdio'];
  const append = ['-append', 'console=ttyS0 loglevel=4 panic=-1 cryptomgr.notests'];
  const machine = spawn(qemu, [...common, ...append, ...args], {
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
  parts.defer(async () => {
    machine.kill('SIGKILL');
    await died.catch(() => {});
  });
  return died;
}
