import {
  type CopyReport,
  copyImage,
  formatReference,
  parsePlatform,
  parseReference,
  readNamed,
  withTag,
} from '@anole/oci';
import { openReader, storeName } from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { formatBytes } from '../progress.ts';
import { type PlatformFlags, platformOf, type RegistryFlags, Session } from './session.ts';

interface PullFlags extends RegistryFlags, PlatformFlags {
  readonly all?: boolean;
}

export async function pullAction(
  context: CommandContext,
  name: string,
  flags: PullFlags,
): Promise<number> {
  if (flags.all && flags.platform !== undefined) {
    throw usageError('Cannot pull for all platforms and for one', 'image pull');
  }
  await using session = await Session.open(context, flags);
  const reference = withTag(session.registries.expand(parseReference(withoutTransport(name))));
  using from = await openReader({ kind: 'registry', reference }, session, session.call);
  const selector = from.selector!;
  const { descriptor: root } = await readNamed(from.reader, selector, session.call);
  const platform = flags.all ? undefined : await platformOf(from.reader, root, flags, session.call);
  const { tag: _, digest: __, ...bare } = reference;
  const kept =
    reference.tag === undefined
      ? `${formatReference(bare)}@${root.digest}`
      : formatReference({ ...bare, tag: reference.tag });
  const report = await copyImage(from.reader, session.store, {
    ...session.call,
    // By its digest: the tag may move meanwhile.
    selector: root.digest,
    tag: kept,
    ...(platform && { platform, keepIndex: true }),
  });
  tell(context, report, kept);
  return 0;
}

export async function pushAction(
  context: CommandContext,
  name: string,
  destination: string | undefined,
  flags: RegistryFlags & PlatformFlags,
): Promise<number> {
  await using session = await Session.open(context, flags);
  const source = parseReference(name);
  const goal = withoutTransport(destination ?? name);
  const to = await session.writer(`docker://${goal}`);
  const { host, repository } = session.registries.expand(source);
  const report = await copyImage(session.store, to.writer, {
    ...session.call,
    selector: storeName(source, session.registries),
    // What was pulled from there need not be sent there again.
    origins: [{ host, repository }],
    ...(to.tag !== undefined && { tag: to.tag }),
    ...(flags.platform !== undefined && { platform: parsePlatform(flags.platform) }),
  });
  tell(context, report, `docker://${goal}`);
  return 0;
}

export async function copyAction(
  context: CommandContext,
  source: string,
  destination: string,
  flags: RegistryFlags & PlatformFlags,
): Promise<number> {
  await using session = await Session.open(context, flags);
  const from = await session.reader(source);
  await using to = await session.writer(destination);
  const report = await copyImage(from.reader, to.writer, {
    ...session.call,
    ...(from.selector !== undefined && { selector: from.selector }),
    ...(to.tag !== undefined && { tag: to.tag }),
    ...(flags.platform !== undefined && { platform: parsePlatform(flags.platform) }),
  });
  tell(context, report, destination);
  return 0;
}

function withoutTransport(name: string): string {
  return name.replace(/^docker:\/\//, '');
}

function tell(context: CommandContext, report: CopyReport, name: string): void {
  const { descriptor, copied, present } = report;
  context.endProgress();
  if (context.json) {
    const { digest, mediaType, size } = descriptor;
    context.out(JSON.stringify({ name, digest, mediaType, size, copied, present }));
    return;
  }
  context.err(`${formatBytes(copied)} copied, ${formatBytes(present)} there already`);
  context.out(`${name}@${descriptor.digest}`.replace(/(@sha256:[0-9a-f]+)@.*/, '$1'));
}
