import { crc32 } from 'node:zlib';
import { cachedSource } from '@anole/bytes';
import { type Descriptor, type Image, layerCompression, OciError } from '@anole/oci';
import { openBlob, type Staging, type VariantFormat } from '@anole/oci/node';
import type { RafsEncoders } from '../writer/encoders.ts';
import type { RafsWriteOptions } from '../writer/options.ts';
import { writeRafsReference } from '../writer/reference/write-reference.ts';
import { NYDUS_ARTIFACT, NYDUS_FEATURE, rafsAnnotations } from './rafs-layers.ts';
import {
  annotated,
  BLOB_TYPE,
  openVariant,
  type StoredLayer,
  storeArchive,
  variantWriter,
} from './variant.ts';

export interface ReferenceVariantOptions {
  readonly encoders: RafsEncoders;
  /** Bytes of a chunk: a power of two from 4096 to 8 MiB. Default 1 MiB. */
  readonly chunkSize?: number;
}

/**
 * RAFS as `convertImage` writes it where the data stay in the gzip layers of the image: for each of them a small
 * blob of tables, which refers to the layer (zran), and a last layer that holds the bootstrap of all. Of layers that
 * are compressed otherwise the data are stored again. The image's layers must be where the variant is put.
 *
 * @example
 * const format = rafsReferenceVariant(image, { encoders: nodeEncoders() });
 * await convertImage(image, repository, format, { scratch, subject: image.descriptor });
 */
export function rafsReferenceVariant(
  image: Pick<Image, 'reader' | 'manifest'>,
  options: ReferenceVariantOptions,
): VariantFormat {
  const { layers } = image.manifest;
  return {
    feature: NYDUS_FEATURE,
    artifactType: NYDUS_ARTIFACT,
    write(staging, call) {
      const all = { ...options, ...call, digester: 'sha256' } as const;
      return variantWriter(staging, all, (archive, at) => {
        const layer = layers[at]!;
        return layerCompression(layer.mediaType) === 'gzip'
          ? storeReference(image, layer, staging, all)
          : storeArchive(archive, staging, all);
      });
    },
    open(staged) {
      const far = new Map(layers.map((layer) => [layer.digest, layer]));
      return openVariant(staged, (id) => {
        const layer = far.get(`sha256:${id}`);
        return layer && cachedSource(openBlob(image.reader, layer));
      });
    },
  };
}

async function storeReference(
  { reader }: Pick<Image, 'reader'>,
  layer: Descriptor,
  staging: Staging,
  { encoders, chunkSize, signal }: RafsWriteOptions,
): Promise<StoredLayer> {
  const stored = reader.blob(layer, signal ? { signal } : {});
  const options = {
    encoders,
    checksum: crc32,
    ...(chunkSize !== undefined && { chunkSize }),
    ...(signal && { signal }),
  };
  const { layer: staged, result } = await staging.fill(BLOB_TYPE, (sink) =>
    writeRafsReference(stored, sink, options),
  );
  if (`sha256:${result.id}` !== layer.digest) {
    throw new OciError(
      'OCI_WRONG_CONTENT',
      `Cannot accept ${layer.digest} of ${reader.name}: it has the digest sha256:${result.id}`,
    );
  }
  const marks = { [rafsAnnotations.reference]: layer.digest };
  const id = result.blob && result.id;
  return { staged: annotated(staged, marks), id, chunks: result.chunks };
}
