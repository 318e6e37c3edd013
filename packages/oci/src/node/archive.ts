import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions, ReadOptions } from '@anole/bytes';
import { createFileAtomically, type FileSource, fileSource } from '@anole/host';
import { MemoryTree, writeTar } from '@anole/vfs';
import type { BlobOptions, ImageReader, ReferrersOptions } from '../content.ts';
import { checkDigest } from '../digest.ts';
import { OciError } from '../errors.ts';
import { type Descriptor, type ImageIndex, MAX_MANIFEST, parseManifest } from '../manifest.ts';
import { mediaTypes } from '../media-types.ts';
import { findInLayout, referrersIn } from './index-names.ts';
import { readSourceRange } from './read-range.ts';
import { StagedWriter, stagingLayout } from './staged-writer.ts';
import { TarMembers } from './tar-members.ts';

/** An OCI layout in a tar archive, to read. Nothing is unpacked. */
export class ArchiveReader implements ImageReader, Disposable {
  readonly name: string;
  private readonly members: TarMembers;

  private constructor(members: TarMembers) {
    this.members = members;
    this.name = `oci-archive:${members.path}`;
  }

  static async open(path: string): Promise<ArchiveReader> {
    return new ArchiveReader(await TarMembers.open(path));
  }

  async resolve(selector?: string): Promise<Descriptor> {
    return findInLayout(await this.index(), selector, this.name, (digest) =>
      this.members.read(memberOf(digest), MAX_MANIFEST),
    );
  }

  async referrers(
    subject: Pick<Descriptor, 'digest'>,
    options: ReferrersOptions = {},
  ): Promise<readonly Descriptor[]> {
    return referrersIn(this, (await this.index()).manifests, subject, options);
  }

  private async index(): Promise<ImageIndex> {
    const bytes = await this.members.read('index.json', MAX_MANIFEST);
    const index = parseManifest(bytes, mediaTypes.index);
    if (index.kind === 'index') return index;
    throw new OciError('OCI_BAD_LAYOUT', `Cannot use ${this.name}: its index.json is no index`);
  }

  manifest({ digest }: Descriptor): Promise<Uint8Array> {
    return this.members.read(memberOf(digest), MAX_MANIFEST);
  }

  blob(descriptor: Descriptor, options: BlobOptions = {}): AsyncIterable<Uint8Array> {
    const found = this.members.find(memberOf(descriptor.digest));
    if (found) return readSourceRange(found, options);
    throw new OciError('OCI_NOT_FOUND', `Cannot find ${descriptor.digest} in ${this.name}`);
  }

  close(): void {
    this.members[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function memberOf(digest: string): string {
  return `blobs/${checkDigest(digest).replace(':', '/')}`;
}

/**
 * An OCI layout as a tar archive, to write: gathered in a hidden directory beside it, put in place
 * whole by `finish`. The same images give the same bytes.
 */
export class ArchiveWriter extends StagedWriter {
  static async create(path: string): Promise<ArchiveWriter> {
    return new ArchiveWriter('oci-archive', path, await stagingLayout(path));
  }

  putManifest(descriptor: Descriptor, bytes: Uint8Array, tag: string | undefined): Promise<void> {
    return this.layout.putManifest(descriptor, bytes, tag);
  }

  async finish(options: CallOptions = {}): Promise<void> {
    await this.layout.finish();
    const { directory } = this.layout;
    const blobs = (await readdir(join(directory, 'blobs/sha256'))).map(
      (name) => `blobs/sha256/${name}`,
    );
    const files = ['index.json', 'oci-layout', ...blobs];
    await writeArchive(
      this.path,
      new Map(files.map((name) => [name, join(directory, name)])),
      options,
    );
  }
}

/** Writes files as an archive that appears whole or not at all. Members are in order of their names. */
export async function writeArchive(
  path: string,
  files: ReadonlyMap<string, string | Uint8Array>,
  options: CallOptions & ReadOptions,
): Promise<void> {
  const tree = new MemoryTree();
  const open: FileSource[] = [];
  try {
    for (const [name, content] of files) {
      if (typeof content !== 'string') tree.putFile(name, content);
      else {
        const source = fileSource(content);
        open.push(source);
        tree.putFile(name, source);
      }
    }
    await createFileAtomically(
      path,
      async (file) => {
        for await (const chunk of writeTar(tree, { prefix: '', filter: (each) => each !== '' })) {
          options.signal?.throwIfAborted();
          for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
        }
      },
      options.signal ? { signal: options.signal } : {},
    );
  } finally {
    for (const source of open) source.close();
  }
}
