import { checkLifetime, checkRange, checkShare } from './checks.ts';
import type { ImageExecution } from './container-image.ts';
import type { MachineOrder } from './engine/messages.ts';
import type { NetworkOptions, NetworkOrder } from './network/options.ts';
import type { SandboxOptions } from './options.ts';
import { prepare } from './prepare.ts';
import { rehearsalFor } from './rehearsal-order.ts';
import { templateFor } from './template-file.ts';
import { volumeSources, writes } from './volumes.ts';

/** What a sandbox is besides its machine. */
export interface Traits {
  /** As it was named when the sandbox, or the first one of those it descends from, was created. */
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly execution: ImageExecution;
  readonly maxProcesses: number;
  readonly writesVolumes: boolean;
}

/** Of images that say nothing of it. */
const plainExecution: ImageExecution = { entrypoint: [], cmd: [] };

const defaultMemory = 512;
/** With less, Debian's kernel gives up before it can tell anyone. */
const leastMemory = 96; // MiB
const defaultProcesses = 1024;
const defaultMaxWritten = 4 * 2 ** 30;

/** Checks options, makes or finds what a machine starts from, and orders it. */
export async function orderFor(
  image: string,
  options: SandboxOptions,
): Promise<{ readonly order: MachineOrder; readonly traits: Traits }> {
  const wanted = options.memoryMiB ?? defaultMemory;
  const memoryMiB = checkRange('memory', 'MiB', wanted, leastMemory, 3072);
  const cpus = checkRange('processors', '', options.cpus ?? 1, 1, 16);
  const terminals = checkRange('terminals', '', options.terminals ?? 2, 0, 15);
  if (options.lifetime !== undefined) checkLifetime(options.lifetime);
  const processes = options.maxProcesses ?? defaultProcesses;
  const maxProcesses = checkRange('processes', '', processes, 1, 4_194_304);
  const network = options.network ? await networkOrderOf(options.network) : undefined;
  const volumes = await volumeSources(options.volumes, options);
  const parts = await prepare(image, options, network !== undefined);
  const { environment, execution = plainExecution, root, boot } = parts;
  const shape = { memoryMiB, cpus, terminals, volumes };
  const kind = [boot, shape, options] as const;
  const template = options.template === false ? undefined : await templateFor(...kind);
  const rehearsed = template && (await rehearsalFor({ root, environment }, kind));
  const order = {
    root,
    boot,
    ...(network && { network }),
    volumes,
    memoryMiB,
    cpus,
    terminals,
    maxWritten: options.maxWritten ?? defaultMaxWritten,
    ...(options.cpuShare !== undefined && { cpuShare: checkShare(options.cpuShare) }),
    ...(template && { template }),
    ...(rehearsed && { rehearsed }),
  };
  const hostname = options.hostname ?? parts.hostname;
  const writesVolumes = volumes.some(writes);
  return {
    order,
    traits: { image, environment, hostname, execution, maxProcesses, writesVolumes },
  };
}

export async function networkOrderOf(options: true | NetworkOptions): Promise<NetworkOrder> {
  const { networkOrder } = await import('./network/options.ts');
  return networkOrder(options);
}

/** Who is told what the guest tries. */
export function onEventOf({ network }: Pick<SandboxOptions, 'network'>) {
  return typeof network === 'object' ? network.onEvent : undefined;
}
