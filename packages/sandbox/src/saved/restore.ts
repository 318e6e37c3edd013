import { randomBytes } from 'node:crypto';
import { checkLifetime, checkShare, forkName } from '../checks.ts';
import type { MachineOrder, TreeSource } from '../engine/messages.ts';
import { SandboxError } from '../errors.ts';
import type { NetworkOrder } from '../network/options.ts';
import type { RestoreOptions } from '../options.ts';
import { networkOrderOf, type Traits } from '../order.ts';
import { findImage } from '../prepare.ts';
import { writes } from '../volumes.ts';
import type { Description, RunningCommand } from './description.ts';
import { foreign } from './errors.ts';
import { fingerprintOf } from './fingerprint.ts';
import { SavedFile } from './read.ts';
import { verify } from './verify.ts';
import { volumesFor } from './volumes.ts';

/** What a restored sandbox is made of. To be kept until its machine is there. */
export interface Restoring extends Disposable {
  readonly order: MachineOrder;
  readonly traits: Traits;
  readonly next: number;
  readonly commands: readonly RunningCommand[];
  readonly lifetime: number | undefined;
}

/** Opens the file of a saved sandbox, finds its image, and gives it what it may have. */
export async function restoring(path: string, options: RestoreOptions): Promise<Restoring> {
  using opened = new DisposableStack();
  const file = opened.use(new SavedFile(path));
  if (options.verify) await verify(file, options);
  const about = file.description();
  const { memoryMiB, cpus, terminals, maxWritten, next, commands } = about;
  const cpuShare = options.cpuShare ?? about.cpuShare;
  const lifetime = options.lifetime ?? about.lifetime;
  if (lifetime !== undefined) checkLifetime(lifetime);
  const volumes = await volumesFor(about, options);
  const network = await networkFor(about, options);
  const order: MachineOrder = {
    root: await imageFor(about, options),
    volumes,
    memoryMiB,
    cpus,
    terminals,
    maxWritten,
    ...(cpuShare !== undefined && { cpuShare: checkShare(cpuShare) }),
    ...(network && { network }),
    saved: file.path,
  };
  const { image, environment, execution, maxProcesses } = about;
  const hostname = options.hostname ?? forkName(about.hostname, randomBytes(2).toString('hex'));
  const writesVolumes = volumes.some(writes);
  const traits = { image, environment, execution, maxProcesses, hostname, writesVolumes };
  const kept = opened.move();
  return { order, traits, next, commands, lifetime, [Symbol.dispose]: () => kept.dispose() };
}

/** The image: where the caller says, where it was, or where its name leads. */
async function imageFor(about: Description, options: RestoreOptions): Promise<TreeSource> {
  const isIt = (root: TreeSource) => fingerprintOf(root) === about.fingerprint;
  // What is in a registry is looked up by its name: a file says where, but not what is there.
  const isHere = about.root.kind !== 'on-demand';
  if (options.image === undefined && isHere && isIt(about.root)) return about.root;
  const name = options.image ?? about.image;
  const { root } = await findImage(name, options);
  if (isIt(root)) return root;
  throw foreign(
    `the image ${name} is not the one that it was made with`,
    'Give the image it was made with (`image`, --image)',
  );
}

/** A network for a machine that has a card: nothing is open that is not given. */
async function networkFor(
  about: Description,
  { network, trust }: RestoreOptions,
): Promise<NetworkOrder | undefined> {
  const saved = about.network;
  if (saved === undefined) {
    if (!network) return undefined;
    throw new SandboxError('SANDBOX_BAD_OPTION', 'Cannot give it a network: it was made without', {
      hint: 'Create the sandbox that is saved with a network, if only with an empty list',
    });
  }
  if (network) return await networkOrderOf(network);
  const { policy, publish, dns } = saved;
  if (!trust) return { policy: {}, publish: [], dns: [], events: false };
  const ports = publish.map(({ host, port, guest }) => `${host}:${port}:${guest}`);
  return await networkOrderOf({ ...policy, publish: ports, dns });
}
