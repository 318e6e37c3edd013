import { resolve } from 'node:path';
import { GrpcClient, pullImage } from '@anole/containerd';
import { parsePlatform, parseReference, withTag } from '@anole/oci';
import type { CommandContext } from '../context.ts';
import { platformHere, type RegistryFlags, Session } from '../image/session.ts';

interface PullFlags extends RegistryFlags {
  readonly address: string;
  readonly namespace: string;
  readonly snapshotter: string;
  readonly platform?: string;
}

export async function pullAction(
  context: CommandContext,
  image: string,
  flags: PullFlags,
): Promise<number> {
  await using session = await Session.open(context, flags);
  const { registries, call } = session;
  const named = parseReference(image.replace(/^docker:\/\//, ''));
  const reference = withTag(registries.expand(named));
  const reader = await registries.reader(reference, call);
  using client = new GrpcClient(resolve(flags.address), {
    'containerd-namespace': flags.namespace,
  });
  const { platform, snapshotter } = flags;
  const pulled = await pullImage(client, reader, {
    ...call,
    reference,
    platform: platform === undefined ? platformHere() : parsePlatform(platform),
    snapshotter,
  });
  context.endProgress();
  if (context.json) context.out(JSON.stringify(pulled, null, 2));
  else {
    const counts = Map.groupBy(pulled.layers, (outcome) => outcome);
    const parts = [...counts].map(([outcome, all]) => `${all.length} ${outcome}`);
    context.err(`layers: ${parts.join(', ') || 'none'}`);
    context.out(`${pulled.name}@${pulled.digest}`);
  }
  return 0;
}
