import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type CallOptions, inPieces, type ReadOptions } from '@anole/bytes';
import {
  acquireLock,
  ContentStore,
  cacheDirectory,
  HostError,
  type Lock,
  systemCode,
  writeFileAtomically,
} from '@anole/host';
import type { BlobOptions, ImageReader, ImageWriter, ReferrersOptions } from '../content.ts';
import { checkDigest, sha256Of } from '../digest.ts';
import { OciError } from '../errors.ts';
import { parseJson } from '../json.ts';
import {
  type Descriptor,
  MAX_MANIFEST,
  parseManifest,
  readDescriptor,
  tooLarge,
} from '../manifest.ts';
import { describeReferrer } from '../registry/referrers.ts';
import { type Collected, collectGarbage } from './collect.ts';
import { readFileRange } from './read-range.ts';
import { addStoredReferrer, storedReferrers } from './store-referrers.ts';

/** Bytes written at once: what comes from a network comes in small chunks. */
const PIECE = 512 * 1024;

/** An image that the store keeps by a name. */
export interface StoredImage {
  /** `HOST/REPOSITORY:TAG`. */
  readonly name: string;
  readonly descriptor: Descriptor;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/**
 * The images of this computer: content by its digest, and names that keep it. Processes may use one
 * store at once: whoever puts or opens content holds the store (`hold`), which the garbage
 * collection waits for.
 */
export class ImageStore implements ImageReader, ImageWriter {
  readonly name: string;
  readonly takesLent = true;
  readonly directory: string;
  private readonly content: ContentStore;

  /** @param directory default `oci` in anole's cache */
  constructor(directory: string = join(cacheDirectory(), 'oci')) {
    this.directory = directory;
    this.name = 'the local store';
    this.content = new ContentStore(join(directory, 'content'));
  }

  /** Keeps the garbage collection away until it is released. */
  hold(options: CallOptions = {}): Promise<Lock> {
    const { signal } = options;
    return acquireLock(this.lockPath, { shared: true, ...(signal && { signal }) });
  }

  /** Images with names, in their order. */
  async list(): Promise<readonly StoredImage[]> {
    const directory = join(this.directory, 'names');
    const files = await readdir(directory).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    });
    const images: StoredImage[] = [];
    for (const file of files) {
      if (!file.endsWith('.json') || file.startsWith('.')) continue;
      const image = await readName(join(directory, file));
      if (image) images.push(image);
    }
    return images.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @param selector a name with its tag, or a digest */
  async resolve(selector?: string): Promise<Descriptor> {
    const found = selector === undefined ? undefined : await readName(this.nameFile(selector));
    if (found) return found.descriptor;
    const byDigest = selector?.startsWith('sha') ? await this.byDigest(selector) : undefined;
    if (byDigest) return byDigest;
    throw new OciError(
      'OCI_NOT_FOUND',
      `Cannot find the image ${selector ?? ''} on this computer`,
      {
        hint: `anole image pull ${selector ?? 'NAME'}`,
      },
    );
  }

  async manifest({ digest }: Descriptor): Promise<Uint8Array> {
    const path = await this.content.find(sha256Of(checkDigest(digest)));
    if (path === undefined) throw missing(digest);
    const { size } = await stat(path);
    if (size > MAX_MANIFEST) throw tooLarge(size);
    return new Uint8Array(await readFile(path));
  }

  blob(descriptor: Descriptor, options: BlobOptions = {}): AsyncIterable<Uint8Array> {
    return readFileRange(this.pathOf(descriptor), options);
  }

  /** The file of content, whether it is there or not. It must only be read. */
  pathOf({ digest }: Pick<Descriptor, 'digest'>): string {
    return this.content.pathOf(sha256Of(checkDigest(digest)));
  }

  async has({ digest, size }: Descriptor): Promise<boolean> {
    return (await this.content.find(sha256Of(checkDigest(digest)), size)) !== undefined;
  }

  async putBlob(
    descriptor: Descriptor,
    open: (start: number) => AsyncIterable<Uint8Array>,
    { signal }: CallOptions = {},
  ): Promise<void> {
    const sha256 = sha256Of(descriptor.digest);
    const options = { size: descriptor.size, ...(signal && { signal }) };
    let resumed = false;
    const insert = () =>
      this.content.insert(
        sha256,
        async (partial) => {
          resumed = partial.length > 0;
          if (partial.length === descriptor.size) return;
          const stream = inPieces(open(partial.length), PIECE, { owned: true });
          for await (const piece of stream) await partial.write(piece);
        },
        options,
      );
    try {
      await insert();
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== 'HOST_WRONG_CONTENT') throw error;
      // What an earlier attempt had left may be to blame.
      if (!resumed) throw wrongContent(descriptor, error);
      await insert();
    }
  }

  async putManifest(
    descriptor: Descriptor,
    bytes: Uint8Array,
    name: string | undefined,
    options: ReadOptions = {},
  ): Promise<void> {
    async function* open(start: number): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(start);
    }
    await this.putBlob(descriptor, open, options);
    const content = parseManifest(bytes, descriptor.mediaType);
    if (content.subject) {
      await addStoredReferrer(
        this.directory,
        content.subject,
        describeReferrer(descriptor, content),
      );
    }
    if (name !== undefined) await this.setName(name, descriptor);
  }

  /** Referrers are kept as long as what they refer to. */
  async referrers(
    subject: Pick<Descriptor, 'digest'>,
    { artifactType }: ReferrersOptions = {},
  ): Promise<readonly Descriptor[]> {
    const all = await storedReferrers(this.directory, subject);
    return all.filter((each) => artifactType === undefined || each.artifactType === artifactType);
  }

  /** Gives an image a name, in the place of another that has it. */
  async setName(name: string, { mediaType, digest, size }: Descriptor): Promise<void> {
    const text = JSON.stringify({
      name,
      descriptor: { mediaType, digest, size },
      since: Date.now(),
    });
    await writeFileAtomically(this.nameFile(name), `${text}\n`);
  }

  /** Takes a name away. Content stays until the garbage is collected. False where it was not there. */
  async removeName(name: string): Promise<boolean> {
    try {
      await unlink(this.nameFile(name));
      return true;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /**
   * Removes content that no name leads to, and what broken downloads left. Waits until nobody holds
   * the store.
   *
   * @throws HostError `HOST_LOCKED` after `patience` milliseconds (default 10,000)
   */
  async collect(
    options: CallOptions & { readonly patience?: number; readonly dryRun?: boolean } = {},
  ): Promise<Collected> {
    const { signal, patience = 10_000, dryRun = false } = options;
    await using _lock = await acquireLock(this.lockPath, { patience, ...(signal && { signal }) });
    return await collectGarbage(this, { dryRun, ...(signal && { signal }) });
  }

  /** Removes the content of one digest. For the garbage collection. */
  async drop(sha256: string): Promise<void> {
    await rm(this.content.pathOf(sha256), { force: true });
  }

  private get lockPath(): string {
    return join(this.directory, 'lock');
  }

  private nameFile(name: string): string {
    const hash = createHash('sha256').update(name).digest('hex');
    return join(this.directory, 'names', `${hash}.json`);
  }

  private async byDigest(digest: string): Promise<Descriptor | undefined> {
    const path = await this.content.find(sha256Of(checkDigest(digest)));
    if (path === undefined) return undefined;
    for (const image of await this.list()) {
      if (image.descriptor.digest === digest) return image.descriptor;
    }
    const { size } = await stat(path);
    if (size > MAX_MANIFEST) throw tooLarge(size);
    const { mediaType } = parseManifest(await readFile(path));
    return { mediaType, digest, size };
  }
}

async function readName(path: string): Promise<StoredImage | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const json = parseJson(bytes, { what: path, code: 'OCI_BAD_LAYOUT' });
  return {
    name: json.string('name'),
    descriptor: readDescriptor(json.object('descriptor')),
    since: json.count('since'),
  };
}

function missing(digest: string): OciError {
  return new OciError('OCI_NOT_FOUND', `Cannot find ${digest} on this computer`, {
    details: { digest },
    hint: 'Pull the image again; for another platform than before, name it with --platform.',
  });
}

function wrongContent({ digest }: Descriptor, cause: HostError): OciError {
  const why = cause.message.replace(/^Cannot accept content: /, '');
  return new OciError('OCI_WRONG_CONTENT', `Cannot accept ${digest}: ${why}`, {
    cause,
    details: { digest },
  });
}
