import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CallOptions, ReadOptions } from '@anole/bytes';
import {
  createFileAtomically,
  hostError,
  systemCode,
  withLock,
  writeFileAtomically,
} from '@anole/host';
import type { BlobOptions, ImageReader, ImageWriter, ReferrersOptions } from '../content.ts';
import { checkDigest, sha256Of } from '../digest.ts';
import { OciError } from '../errors.ts';
import { parseJson } from '../json.ts';
import {
  type Descriptor,
  encodeManifest,
  type ImageIndex,
  MAX_MANIFEST,
  parseManifest,
} from '../manifest.ts';
import { mediaTypes } from '../media-types.ts';
import { findInLayout, referrersIn, refName } from './index-names.ts';
import { readFileRange } from './read-range.ts';

const VERSION = '{"imageLayoutVersion":"1.0.0"}';

/**
 * An OCI layout as a directory (OCI image-spec, image-layout.md). Blobs appear whole and verified;
 * the index changes at once, under a lock of this computer.
 */
export class LayoutDirectory implements ImageReader, ImageWriter {
  readonly name: string;
  readonly takesLent = true;
  readonly directory: string;
  /** The manifest put last: the root. */
  private last: Descriptor | undefined;

  constructor(directory: string) {
    this.directory = directory;
    this.name = `oci:${directory}`;
  }

  /** What the layout has, by tags and without. @throws OciError `OCI_BAD_LAYOUT` */
  async index(): Promise<ImageIndex> {
    await this.checkVersion();
    const bytes = await this.document('index.json');
    const found = parseManifest(bytes, mediaTypes.index);
    if (found.kind === 'index') return found;
    throw new OciError('OCI_BAD_LAYOUT', `Cannot use ${this.name}: its index.json is no index`);
  }

  async resolve(selector?: string): Promise<Descriptor> {
    return findInLayout(await this.index(), selector, this.name, (digest) =>
      this.document(blobPath(digest)),
    );
  }

  async manifest(descriptor: Descriptor, { signal }: ReadOptions = {}): Promise<Uint8Array> {
    signal?.throwIfAborted();
    return this.document(blobPath(descriptor.digest));
  }

  blob(descriptor: Descriptor, options: BlobOptions = {}): AsyncIterable<Uint8Array> {
    return readFileRange(this.pathOf(descriptor), options);
  }

  /** Referrers that the index lists, as such without a tag. */
  async referrers(
    subject: Pick<Descriptor, 'digest'>,
    options: ReferrersOptions = {},
  ): Promise<readonly Descriptor[]> {
    return referrersIn(this, (await this.index()).manifests, subject, options);
  }

  /** The file of a blob. */
  pathOf({ digest }: Descriptor): string {
    return join(this.directory, blobPath(checkDigest(digest)));
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    const found = await stat(this.pathOf(descriptor)).catch(() => undefined);
    return found?.size === descriptor.size;
  }

  async putBlob(
    descriptor: Descriptor,
    openBlob: (start: number) => AsyncIterable<Uint8Array>,
    { signal }: CallOptions = {},
  ): Promise<void> {
    sha256Of(descriptor.digest);
    const hash = createHash('sha256');
    let length = 0;
    await createFileAtomically(
      this.pathOf(descriptor),
      async (file) => {
        for await (const chunk of openBlob(0)) {
          length += chunk.length;
          if (length > descriptor.size) break;
          const writing = file.write(chunk);
          // Meanwhile: another thread writes.
          hash.update(chunk);
          for (let at = (await writing).bytesWritten; at < chunk.length; ) {
            at += (await file.write(chunk, at)).bytesWritten;
          }
        }
        checkContent(descriptor, length, `sha256:${hash.digest('hex')}`);
      },
      signal ? { signal } : {},
    );
  }

  /** The layout itself: what is made there is on the same file system. */
  get workspace(): string {
    return this.directory;
  }

  async adopt(descriptor: Descriptor, path: string): Promise<void> {
    const goal = this.pathOf(descriptor);
    await mkdir(dirname(goal), { recursive: true });
    await rename(path, goal);
  }

  async putManifest(
    descriptor: Descriptor,
    bytes: Uint8Array,
    tag: string | undefined,
  ): Promise<void> {
    await writeFileAtomically(this.pathOf(descriptor), bytes);
    this.last = descriptor;
    if (tag !== undefined) await this.point(descriptor, tag);
  }

  /** An image without a name has to be in the index too, or nothing leads to it. */
  async finish(): Promise<void> {
    const last = this.last;
    this.last = undefined;
    if (last === undefined) return;
    const there = await this.index().catch(() => undefined);
    if (!there?.manifests.some(({ digest }) => digest === last.digest)) await this.point(last);
  }

  private async point(descriptor: Descriptor, tag?: string): Promise<void> {
    await withLock(join(this.directory, '.anole-lock'), async () => {
      const version = join(this.directory, 'oci-layout');
      const isNew = (await stat(version).catch(() => undefined)) === undefined;
      const there = isNew ? undefined : await this.index();
      const { mediaType, digest, size, artifactType } = descriptor;
      const entry: Descriptor = {
        mediaType,
        digest,
        size,
        ...(artifactType !== undefined && { artifactType }),
        ...(tag !== undefined && { annotations: { [refName]: tag } }),
      };
      const others = (there?.manifests ?? []).filter((each) =>
        tag === undefined ? each.digest !== digest : each.annotations?.[refName] !== tag,
      );
      const index: ImageIndex = {
        kind: 'index',
        mediaType: mediaTypes.index,
        manifests: [...others, entry],
        ...(there?.annotations && { annotations: there.annotations }),
      };
      await writeFileAtomically(join(this.directory, 'index.json'), encodeManifest(index));
      if (isNew) await writeFileAtomically(version, VERSION);
    });
  }

  private async checkVersion(): Promise<void> {
    const bytes = await this.document('oci-layout');
    const json = parseJson(bytes, { what: `oci-layout of ${this.name}`, code: 'OCI_BAD_LAYOUT' });
    const version = json.string('imageLayoutVersion');
    if (!version.startsWith('1.')) throw json.wrong('imageLayoutVersion', 'a newer version');
  }

  private async document(path: string): Promise<Uint8Array> {
    const file = join(this.directory, path);
    try {
      await using handle = await open(file);
      const { size } = await handle.stat();
      if (size > MAX_MANIFEST) {
        throw new OciError('OCI_TOO_LARGE', `Cannot read ${file}: it has ${size} bytes`);
      }
      return new Uint8Array(await handle.readFile());
    } catch (error) {
      if (systemCode(error) === 'ENOENT') {
        throw new OciError('OCI_NOT_FOUND', `Cannot find ${path} in ${this.name}`, {
          hint: path.startsWith('blobs/') ? 'The layout is incomplete.' : 'That is no OCI layout.',
        });
      }
      throw hostError(error, `read ${file}`);
    }
  }
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** @throws OciError `OCI_WRONG_CONTENT` */
export function checkContent({ digest, size }: Descriptor, length: number, met: string): void {
  if (length === size && met === digest) return;
  const why = length === size ? `it has the digest ${met}` : `it has not its ${size} bytes`;
  throw new OciError('OCI_WRONG_CONTENT', `Cannot accept ${digest}: ${why}`, {
    details: { digest, size },
  });
}

/** True for a directory that is a layout. */
export async function isLayout(directory: string): Promise<boolean> {
  return readFile(join(directory, 'oci-layout')).then(
    () => true,
    () => false,
  );
}
