import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@anole/host';
import { bootstrapKeyring } from './bootstrap-keyring.ts';
import { type Context, signalOf } from './context.ts';
import { ArchiveError } from './errors.ts';
import { shownUri } from './http.ts';
import { findKeyring } from './keyring.ts';
import type { Mirror } from './mirror.ts';
import { mirrorsFor } from './mirror.ts';
import { basesOf } from './mirror-list.ts';
import { checkRelease, parseRelease, type ReleaseChecks, type ReleaseText } from './release.ts';
import { type Keyring, largestRelease, verifySigned } from './signature.ts';
import { fetchSmallFile } from './small-file.ts';

/** A suite whose InRelease has been verified. */
export interface Suite {
  /** As asked for. */
  readonly name: string;
  readonly release: ReleaseText;
  readonly signedBy: readonly string[];
  /** Base URIs of the archive, the one that served InRelease first. */
  readonly bases: readonly string[];
}

/** What decides which signatures count. */
export interface Trust {
  /** File with the keys, where the caller names one. */
  readonly keyring?: string;
  /** Architecture whose index serves to find the keys of a machine that has none. */
  readonly architecture: string;
}

/**
 * Gets and verifies a suite's InRelease from the first archive that has it.
 *
 * @throws ArchiveError: that of the first archive, where none has it.
 */
export async function openSuite(context: Context, name: string, trust: Trust): Promise<Suite> {
  const faults: unknown[] = [];
  for (const mirror of mirrorsFor(context.mirrors, name)) {
    try {
      return await openAt(context, mirror, name, trust);
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      if (!mirror.guessed || faults.length === 0) faults.push(error);
    }
  }
  throw faults[0];
}

async function openAt(
  context: Context,
  mirror: Mirror,
  name: string,
  trust: Trust,
): Promise<Suite> {
  const bases = await basesOf(context, mirror);
  let fault: unknown;
  for (const base of bases) {
    try {
      const opened = await openAtBase(context, mirror, base, name, trust);
      return { ...opened, bases: [base, ...bases.filter((other) => other !== base)] };
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      fault ??= error;
    }
  }
  throw fault ?? new ArchiveError('ARCHIVE_BAD_MIRROR', 'Cannot use a mirror list without URIs');
}

async function openAtBase(
  context: Context,
  mirror: Mirror,
  base: string,
  name: string,
  trust: Trust,
): Promise<Omit<Suite, 'bases'>> {
  const uri = new URL(`dists/${name}/InRelease`, base).href;
  const what = shownUri(uri);
  const kept = new KeptRelease(context, uri);
  const message = await kept.fetch();
  const keys = await keysFor(context, mirror, name, trust);
  const read = async (text: string) => {
    const verified = await verifySigned(text, keys, what, context.now);
    const release = parseRelease(verified.text, what);
    checkRelease(release, checksOf(context, mirror, name), what);
    return { name, release, signedBy: verified.signedBy };
  };
  const fetched = await read(message);
  // A mirror that falls behind, or replays: what was seen before stays in force, as in apt.
  const before =
    kept.before === undefined ? undefined : await read(kept.before).catch(() => undefined);
  if (before !== undefined && before.release.date > fetched.release.date) return before;
  await kept.keep();
  return fetched;
}

async function keysFor(
  context: Context,
  mirror: Mirror,
  suite: string,
  trust: Trust,
): Promise<Keyring> {
  const root = context.request.root ?? '/';
  const keys = await findKeyring(mirror, root, trust.keyring);
  if (keys !== undefined) return keys;
  context.pinned.keys ??= bootstrapKeyring(context, suite, trust.architecture);
  return context.pinned.keys;
}

/** Seconds that apt lets a release come from the future. */
const defaultFuture = 10;

function checksOf(context: Context, mirror: Mirror, suite: string): ReleaseChecks {
  const future = Number(context.mirrors.configuration.get('Acquire::Max-FutureTime') ?? '');
  return {
    suite,
    now: context.now,
    checkValidUntil: mirror.checkValidUntil,
    checkDate: mirror.checkDate,
    future: future > 0 ? future : defaultFuture,
  };
}

interface Metadata {
  readonly uri: string;
  readonly etag?: string;
  readonly lastModified?: string;
}

/** The InRelease of an earlier call, which a server may say is still the one. */
class KeptRelease {
  readonly #context: Context;
  readonly #uri: string;
  readonly #path: string;
  #fetched: { readonly bytes: Uint8Array; readonly metadata: Metadata } | undefined;

  constructor(context: Context, uri: string) {
    this.#context = context;
    this.#uri = uri;
    const key = createHash('sha256').update(uri).digest('hex').slice(0, 16);
    this.#path = join(context.directory, key, 'InRelease');
  }

  /** The message that was kept, where the one fetched is another. */
  before: string | undefined;

  /** The message, unverified. */
  async fetch(): Promise<string> {
    const kept = await readFile(this.#path).catch(() => undefined);
    const { request } = this.#context;
    if (request.offline) {
      if (kept !== undefined) return decode(kept);
      throw new ArchiveError('ARCHIVE_OFFLINE', `Cannot use ${shownUri(this.#uri)} offline`, {
        hint: 'Run once with the network, so that the cache has it.',
      });
    }
    const file = await fetchSmallFile(this.#context.client, this.#uri, {
      limit: largestRelease,
      headers: kept === undefined ? {} : await this.#conditions(),
      ...(request.network === undefined ? {} : { network: request.network }),
      ...signalOf(request),
    });
    if (file.bytes === undefined && kept !== undefined) return decode(kept);
    const bytes = file.bytes ?? new Uint8Array();
    if (kept !== undefined && !kept.equals(bytes)) this.before = decode(kept);
    const etag = file.header('etag');
    const lastModified = file.header('last-modified');
    const metadata = {
      uri: shownUri(this.#uri),
      ...(etag === undefined ? {} : { etag }),
      ...(lastModified === undefined ? {} : { lastModified }),
    };
    this.#fetched = { bytes, metadata };
    return decode(bytes);
  }

  /** Keeps what was fetched: call it once the message is verified. */
  async keep(): Promise<void> {
    if (this.#fetched === undefined) return;
    const { bytes, metadata } = this.#fetched;
    // Metadata last: it must never describe an older file than the one there.
    await writeFileAtomically(this.#path, bytes);
    await writeFileAtomically(`${this.#path}.json`, `${JSON.stringify(metadata)}\n`);
  }

  async #conditions(): Promise<Record<string, string>> {
    try {
      const metadata = JSON.parse(await readFile(`${this.#path}.json`, 'utf8')) as Metadata;
      return {
        ...(metadata.etag === undefined ? {} : { 'if-none-match': String(metadata.etag) }),
        ...(metadata.lastModified === undefined
          ? {}
          : { 'if-modified-since': String(metadata.lastModified) }),
      };
    } catch {
      return {};
    }
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
