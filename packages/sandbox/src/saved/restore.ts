import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { checkLifetime, checkShare, forkName, volumeSource } from '../checks.ts';
import type { MachineOrder, TreeSource, VolumeSource } from '../engine/messages.ts';
import { SandboxError } from '../errors.ts';
import type { NetworkOrder } from '../network/options.ts';
import type { RestoreOptions } from '../options.ts';
import { networkOrderOf, type Traits } from '../order.ts';
import { findImage } from '../prepare.ts';
import type { Description, RunningCommand } from './description.ts';
import { foreign } from './errors.ts';
import { fingerprint } from './fingerprint.ts';
import { SavedFile } from './read.ts';
import { verify } from './verify.ts';

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
  const volumes = volumesFor(about, options);
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
  const writesVolumes = volumes.some(({ readOnly }) => !readOnly);
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

function fingerprintOf(root: TreeSource): string | undefined {
  try {
    return fingerprint(root);
  } catch {
    // It is not there, or cannot be read.
    return undefined;
  }
}

/** A volume for each that the guest has mounted: by its path there. */
function volumesFor(about: Description, options: RestoreOptions): VolumeSource[] {
  const given = (options.volumes ?? []).map(volumeSource);
  const known = new Set(about.volumes.map(({ path }) => path));
  const stranger = given.find(({ path }) => !known.has(path));
  if (stranger !== undefined) {
    throw badVolume(
      `Cannot offer ${stranger.directory} at ${stranger.path}: it had no volume there`,
    );
  }
  return about.volumes.map((saved) => {
    const own = given.find(({ path }) => path === saved.path);
    const volume = own ?? (options.trust ? saved : undefined);
    if (volume === undefined) {
      throw badVolume(
        `Cannot restore the sandbox: it had the volume ${saved.directory} at ${saved.path}`,
        `Give one (-v DIRECTORY:${saved.path}), or trust the file (--trust)`,
      );
    }
    checkDirectory(volume);
    // What was mounted for reading only stays so.
    return { ...volume, readOnly: volume.readOnly || saved.readOnly };
  });
}

function checkDirectory({ directory, path }: VolumeSource): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return;
  throw badVolume(`Cannot offer ${directory} at ${path}: it is no directory`);
}

function badVolume(message: string, hint?: string): SandboxError {
  return new SandboxError('SANDBOX_BAD_VOLUME', message, hint === undefined ? {} : { hint });
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
