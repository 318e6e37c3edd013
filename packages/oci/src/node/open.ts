import type { CallOptions } from '@anole/bytes';
import type { ImageReader, ImageWriter } from '../content.ts';
import { OciError } from '../errors.ts';
import { formatReference, selectorOf, withTag } from '../reference.ts';
import { ArchiveReader, ArchiveWriter } from './archive.ts';
import { DockerArchiveReader, DockerArchiveWriter } from './docker-archive.ts';
import type { PullPolicy } from './kept-reader.ts';
import { LayoutDirectory } from './layout.ts';
import { formatLocation, type ImageLocation } from './location.ts';
import type { Registries } from './registries.ts';
import type { ImageStore } from './store.ts';

/** What locations are opened with. */
export interface Surroundings {
  readonly registries: Registries;
  readonly store: ImageStore;
  /** When a registry is asked what a tag stands for, where its manifests are kept. Default `always`. */
  readonly pull?: PullPolicy;
}

/** An image to read: where, and by which selector. */
export interface OpenedReader extends Disposable {
  readonly reader: ImageReader;
  readonly selector: string | undefined;
  /** The name of the image without transport, where it has one. */
  readonly tag: string | undefined;
}

/** A place to write an image to: where, and under which name. */
export interface OpenedWriter extends AsyncDisposable {
  readonly writer: ImageWriter;
  readonly tag: string | undefined;
}

/** Opens where an image is read from. @throws OciError, HostError, TarError */
export async function openReader(
  location: ImageLocation,
  { registries, store, pull = 'always' }: Surroundings,
  options: CallOptions = {},
): Promise<OpenedReader> {
  switch (location.kind) {
    case 'registry': {
      const reference = withTag(registries.expand(location.reference));
      const reader = await registries.reader(reference, { ...options, pull });
      return opened(reader, selectorOf(reference), reference.tag);
    }
    case 'store': {
      const name = storeName(location.reference, registries);
      return opened(store, name, name);
    }
    case 'web':
      return opened(await registries.layout(location.url, options), location.tag, location.tag);
    case 's3':
      return opened(await registries.bucket(location), location.tag, location.tag);
    case 'oci':
      return opened(new LayoutDirectory(location.path), location.tag, location.tag);
    case 'oci-archive':
      return opened(await ArchiveReader.open(location.path), location.tag, location.tag);
    case 'docker-archive':
      return opened(await DockerArchiveReader.open(location.path), location.tag, location.tag);
  }
}

/** Opens where an image is written to. @throws OciError, HostError */
export async function openWriter(
  location: ImageLocation,
  { registries, store }: Surroundings,
  options: CallOptions = {},
): Promise<OpenedWriter> {
  switch (location.kind) {
    case 'registry': {
      const reference = registries.expand(location.reference);
      if (reference.digest !== undefined && reference.tag === undefined) {
        return writable(await registries.repository(reference, options), undefined);
      }
      return writable(await registries.repository(reference, options), reference.tag ?? 'latest');
    }
    case 'store':
      if (location.reference.digest !== undefined) throw digestAsName(location);
      return writable(store, storeName(location.reference, registries));
    case 'web':
    case 's3':
      throw new OciError('OCI_UNSUPPORTED', `Cannot write to ${formatLocation(location)}`, {
        hint: 'Write a layout on disk (oci:DIRECTORY), and copy it there.',
      });
    case 'oci':
      return writable(new LayoutDirectory(location.path), location.tag);
    case 'oci-archive':
      return writable(await ArchiveWriter.create(location.path), location.tag);
    case 'docker-archive':
      return writable(await DockerArchiveWriter.create(location.path), location.tag);
  }
}

/** The name by which the store keeps an image. */
export function storeName(
  reference: Extract<ImageLocation, { kind: 'store' }>['reference'],
  registries: Registries,
): string {
  const whole = withTag(registries.expand(reference));
  // A digest says more than a tag beside it.
  if (whole.digest !== undefined) return whole.digest;
  return formatReference(whole);
}

function digestAsName({ reference }: Extract<ImageLocation, { kind: 'store' }>): OciError {
  const name = formatReference(reference);
  return new OciError('OCI_BAD_REFERENCE', `Cannot name an image ${name}: digests are not given`);
}

function opened(
  reader: ImageReader,
  selector: string | undefined,
  tag: string | undefined,
): OpenedReader {
  return { reader, selector, tag, [Symbol.dispose]: () => reader.close?.() };
}

function writable(
  writer: ImageWriter & Partial<AsyncDisposable>,
  tag: string | undefined,
): OpenedWriter {
  return { writer, tag, [Symbol.asyncDispose]: async () => writer[Symbol.asyncDispose]?.() };
}
