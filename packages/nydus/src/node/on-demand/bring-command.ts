import type { TarIndex } from '@anole/erofs';
import { type Descriptor, type Execution, MAX_CONFIG, parseConfig, verifyDigest } from '@anole/oci';
import type { CachedBlob } from '../cache/blob.ts';
import type { ByteRange } from '../cache/ranges.ts';
import { commandNeeds } from '../command/needs.ts';
import { addRanges } from '../device-ranges.ts';
import type { BlobPool } from './blob-pool.ts';
import type { ImageBlobs } from './image.ts';
import { rawBlob } from './near-blobs.ts';

/** An image whose names are known, and whose data come when they are read. */
interface Known extends TarIndex {
  /** In the order of its device table. */
  readonly devices: readonly CachedBlob[];
}

/**
 * Brings what the image's own command reads when it starts, as far as its files say: who converts an image has that
 * put first. It is a hint: where it makes no sense, or cannot be brought, nothing is thrown.
 *
 * @param execution how the image runs, if that is known
 * @param signal that nothing of the image may be looked at any more
 */
export async function bringCommand(
  known: Known,
  execution: Promise<Execution | undefined>,
  signal: AbortSignal,
): Promise<void> {
  const { devices } = known;
  const ranges = devices.map((): ByteRange[] => []);
  try {
    const command = await execution;
    if (command === undefined) return;
    const needs = await commandNeeds(known.tree, command, { signal });
    await addRanges(known, needs, ranges, signal);
  } catch {
    // What was found until then is as good.
  }
  if (signal.aborted) return;
  const some = devices.map((device, at) => ({ device, wanted: ranges[at]! }));
  await Promise.all(
    some
      .filter(({ wanted }) => wanted.length > 0)
      .map(({ device, wanted }) => device.bringAhead(wanted)),
  );
}

/**
 * How an image runs, as its configuration says, which is kept as long as the image is open: so that it opens again
 * without who serves it. Undefined where it cannot be read.
 *
 * @param resources of the image. They may be moved, or given up, before this ends.
 */
export async function executionOf(
  config: Descriptor,
  from: ImageBlobs,
  pool: BlobPool,
  resources: AsyncDisposableStack,
): Promise<Execution | undefined> {
  if (config.size > MAX_CONFIG) return undefined;
  const kept = resources.use(new AsyncDisposableStack());
  const closing = new AbortController();
  resources.defer(() => closing.abort());
  try {
    const raw = await pool.open(rawBlob(from.source(config), config.digest));
    const reading = readExecution(raw, config.digest, closing.signal);
    const release = async () => {
      await reading;
      await pool.release(raw);
    };
    if (kept.disposed) await release();
    else kept.defer(release);
    return await reading;
  } catch {
    return undefined;
  }
}

async function readExecution(
  raw: CachedBlob,
  digest: string,
  signal: AbortSignal,
): Promise<Execution | undefined> {
  try {
    const bytes = await raw.read(0, raw.size, { signal });
    try {
      await verifyDigest(bytes, digest, 'a configuration');
    } catch (error) {
      raw.forget();
      throw error;
    }
    return parseConfig(bytes).execution;
  } catch {
    return undefined;
  }
}
