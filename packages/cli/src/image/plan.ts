import { type Chunking, type Plan, type PlanReport, planImages } from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { formatBytes } from '../progress.ts';
import { table } from '../table.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';

interface PlanFlags extends RegistryFlags, PlatformFlags {
  readonly chunks?: readonly string[];
  readonly exact?: boolean;
}

/** Says what storing images in chunks would save, before anything is written. */
export async function planAction(
  context: CommandContext,
  names: readonly string[],
  flags: PlanFlags,
): Promise<number> {
  await using session = await Session.open(context, flags);
  const images = [];
  for (const name of names) images.push(await session.image(name, flags));
  const report = await planImages(images, {
    ...session.call,
    ...(flags.chunks && {
      chunkings: flags.chunks.flatMap((text) => text.split(',')).map(chunkingOf),
    }),
    ...(flags.exact && { sampled: Number.POSITIVE_INFINITY }),
  });
  context.endProgress();
  if (context.json) context.out(JSON.stringify(report, null, 2));
  else print(context, report);
  return 0;
}

const kinds = { fixed: 'fixed', content: 'content' } as const;

/** `fixed:1048576`, `content:65536`. */
function chunkingOf(text: string): Chunking {
  const [name = '', digits = ''] = text.split(':');
  const size = /^\d{1,8}$/.test(digits) ? Number(digits) : 0;
  const kind = Object.hasOwn(kinds, name) ? kinds[name as keyof typeof kinds] : undefined;
  const isPower = (size & (size - 1)) === 0;
  if (kind !== undefined && isPower && size >= 4096 && size <= 16 * 2 ** 20) return { kind, size };
  throw usageError(
    `Cannot cut files into ${text}: give fixed:BYTES or content:BYTES, a power of two from 4096 to 16777216`,
    'image plan',
  );
}

function print(
  context: CommandContext,
  { images, layers, now, files, plans, cheapest }: PlanReport,
) {
  context.out(
    `${images} images, ${layers} layers: ${formatBytes(now)} now, ${formatBytes(files)} as files`,
  );
  const rows = plans.map((plan) => [
    plan === cheapest ? '*' : '',
    chunksOf(plan),
    plan.shared ? 'all' : 'each layer',
    plan.compressor,
    String(plan.chunks),
    storedOf(plan),
    `${(plan.saved * 100).toFixed(1)} %`,
  ]);
  context.out(table(['', 'CHUNKS', 'ONCE IN', 'COMPRESSED', 'STORED', 'BYTES', 'SAVED'], rows));
  const shares = new Set(plans.map(({ sampled }) => sampled).filter((share) => share < 1));
  if (shares.size > 0) {
    const share = (Math.min(...shares) * 100).toPrecision(2);
    context.err(`compression was tried on ${share} % of the chunks or more; --exact tries all`);
  }
  if (cheapest) {
    const once = cheapest.shared ? 'one dictionary for all' : 'no dictionary';
    context.out(`cheapest: ${chunksOf(cheapest)}, ${once}, compression ${cheapest.compressor}`);
  }
}

function chunksOf({ chunking: { kind, size } }: Plan): string {
  const text = size >= 2 ** 20 ? `${size / 2 ** 20} MiB` : `${size / 1024} KiB`;
  return kind === 'fixed' ? text : `about ${text}, by content`;
}

function storedOf({ stored: { bytes, error } }: Plan): string {
  return error === 0 ? formatBytes(bytes) : `${formatBytes(bytes)} ± ${formatBytes(error)}`;
}
