import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { fetchKernelModules } from '@anole/compose';
import { Machine, VirtioNet } from '@anole/machine';
import { formatIpv4, guestNetwork, NetworkStack, Policy } from '@anole/net';
import { HostOutside } from '../packages/sandbox/src/network/host-outside.ts';
import { type BenchGuest, benchGuest } from './guest.ts';
import type { Bench, Report } from './harness.ts';
import type { Measured } from './network-worker.ts';
import { hasProgram } from './programs.ts';

const qemu = 'qemu-system-riscv64';
/** What sandboxes have, too: no zeroing of pages that nobody else had. */
const commandLine = 'console=ttyS0 quiet cryptomgr.notests init_on_alloc=0 lsm=';
const runs = 2;
/** Half a gigabyte of 128 KiB each: the first hundred megabytes are half as fast, while code is compiled. */
const uploadBlocks = 4096;

type Figures = Record<Measured['name'], number>;

/**
 * The user-mode network beside QEMU's (slirp): same kernel, driver and programs, one hart, servers in
 * another thread. In each round both boot once, and do three things.
 */
const bench: Bench = async (report) => {
  if (!hasProgram(qemu)) {
    report.skip('network', `${qemu} is not installed`);
    return;
  }
  const servers = new Worker(new URL('./network-worker.ts', import.meta.url));
  const directory = await mkdtemp(join(tmpdir(), 'anole-bench-'));
  try {
    const [ports] = (await once(servers, 'message')) as [Ports];
    const ours: Figures[] = [];
    const peer: Figures[] = [];
    const here = await guestWith(
      formatIpv4(guestNetwork.guest),
      formatIpv4(guestNetwork.gateway),
      ports,
    );
    const there = await guestWith('10.0.2.15', '10.0.2.2', ports);
    const initrd = join(directory, 'initrd');
    await writeFile(initrd, there.initrd);
    for (let round = 0; round <= runs; round++) {
      ours.push(await measured(servers, () => runHere(here)));
      peer.push(await measured(servers, () => runInQemu(there.kernel, initrd)));
    }
    await compareAll(report, ours, peer);
  } finally {
    await servers.terminate();
    await rm(directory, { recursive: true, force: true });
  }
};
export default bench;

interface Ports {
  readonly sink: number;
  readonly source: number;
  readonly pinger: number;
}

const titles = {
  upload: { name: 'guest to host (target 200)', unit: 'MB/s', higherIsBetter: true },
  download: { name: 'host to guest', unit: 'MB/s', higherIsBetter: true },
  latency: { name: 'one byte there and back', unit: 'ms', higherIsBetter: false },
} as const;

/** What was measured in turn, as the harness takes it. */
async function compareAll(report: Report, ours: Figures[], peer: Figures[]): Promise<void> {
  for (const [key, title] of Object.entries(titles)) {
    const figure = key as Measured['name'];
    const next = (figures: readonly Figures[]) => {
      let at = 0;
      return () => figures[at++]![figure];
    };
    await report.compare({
      ...title,
      ours: { name: 'anole', run: next(ours) },
      peer: { name: 'QEMU slirp', run: next(peer) },
      runs,
    });
  }
}

async function guestWith(address: string, gateway: string, ports: Ports): Promise<BenchGuest> {
  const names = ['failover', 'net_failover', 'virtio_net'];
  const paths = await fetchKernelModules(names);
  const files = await Promise.all(paths.map((path) => readFile(path)));
  const busybox = '/bin/busybox';
  const to = (port: number, program: string) =>
    `${busybox} nc ${gateway} ${port} -e ${busybox} ${program}`;
  const script = [
    ...names.map((name) => `${busybox} insmod /${name}.ko`),
    `${busybox} ifconfig eth0 ${address} netmask 255.255.255.0 up`,
    to(ports.sink, `dd if=/dev/zero bs=128k count=${uploadBlocks}`),
    to(ports.source, 'dd of=/dev/null bs=128k'),
    to(ports.pinger, 'cat'),
  ];
  const modules = names.map((name, at) => ({ path: `${name}.ko`, bytes: files[at]! }));
  return await benchGuest(script.join('\n'), modules);
}

async function measured(servers: Worker, run: () => Promise<void>): Promise<Figures> {
  const figures: Partial<Figures> = {};
  const add = ({ name, value }: Measured) => {
    figures[name] = value;
  };
  servers.on('message', add);
  await run();
  // What the servers said last is on its way.
  await new Promise((resolve) => setTimeout(resolve, 100));
  servers.off('message', add);
  if (Object.keys(figures).length < 3) throw new Error('the guest did not do all');
  return figures as Figures;
}

async function runHere({ kernel, initrd }: BenchGuest): Promise<void> {
  const { guestMac } = guestNetwork;
  const device: VirtioNet = new VirtioNet({
    mac: guestMac,
    peer: {
      receive: (frame, offload) => stack.receive(frame, offload),
      flush: () => stack.flush(),
      room: () => stack.room(),
    },
  });
  const policy = new Policy({ allow: ['127.0.0.1'] });
  const stack = new NetworkStack({ link: device, outside: new HostOutside([]), policy });
  await using machine = await Machine.create({
    kernel: await readFile(kernel),
    initrd,
    commandLine,
    devices: [device],
  });
  await machine.run();
  stack.close();
}

async function runInQemu(kernel: string, initrd: string): Promise<void> {
  const machine = ['-M', 'virt', '-m', '512M', '-smp', '1', '-display', 'none', '-monitor', 'none'];
  const net = ['-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n,romfile='];
  const boot = ['-serial', 'null', '-kernel', kernel, '-initrd', initrd, '-append', commandLine];
  const child = spawn(qemu, [...machine, ...net, ...boot], { stdio: 'ignore' });
  await once(child, 'close');
}
