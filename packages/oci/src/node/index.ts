/**
 * OCI images under Node: registries as this computer is set up for them, layouts and archives, the
 * local store, file systems of images.
 *
 * @example
 * import { copyImage } from '@anole/oci';
 * import { ImageStore, openReader, parseLocation, Registries } from '@anole/oci/node';
 * using registries = await Registries.load();
 * const store = new ImageStore();
 * await using _held = await store.hold();
 * using from = await openReader(parseLocation('docker://HOST/web:1.2'), { registries, store });
 * await copyImage(from.reader, store, { selector: from.selector, tag: 'HOST/web:1.2' });
 */
export { hasTransport } from '../transports.ts';
export { ArchiveReader, ArchiveWriter } from './archive.ts';
export { type ChangedImage, type ChangeOptions, type ConfigChange, changeImage } from './change.ts';
export { checkImage, type ImageCheck, type ImageFinding } from './check.ts';
export { checkImageIndex, type IndexCheck } from './check-index.ts';
export { checkLayerIndex, checkTocIndex } from './check-layer-index.ts';
export { type ChunkedVariantOptions, chunkedVariant } from './chunked/variant.ts';
export type { Chunking } from './chunker.ts';
export type { Collected } from './collect.ts';
export {
  type ConvertOptions,
  convertImage,
  type VariantFormat,
  type VariantWriter,
} from './convert.ts';
export { decompress } from './decompress.ts';
export { DockerArchiveReader, DockerArchiveWriter } from './docker-archive.ts';
export {
  authFiles,
  findCredentials,
  forgetCredentials,
  type Kept,
  keepCredentials,
} from './docker-config.ts';
export {
  boundIndex,
  findIndexes,
  ownIndex,
  readLayerIndex,
  referringIndex,
  type SociIndex,
} from './find-index.ts';
export {
  type Certificates,
  DEFAULT_STALL,
  NodeTransport,
  type NodeTransportOptions,
} from './http.ts';
export {
  bindIndexes,
  DEFAULT_MIN_LAYER,
  type IndexedImage,
  type IndexedLayer,
  type IndexImageOptions,
  indexImage,
  indexLayers,
  putIndex,
  putSociIndex,
} from './index-image.ts';
export { type IndexLayerOptions, indexLayer } from './index-layer.ts';
export { refName } from './index-names.ts';
export { type FindIndex, indexedTree, sha256 } from './indexed-tree.ts';
export { KeepingReader } from './keeping-reader.ts';
export { KeptDocuments } from './kept-documents.ts';
export { type PullPolicy, pullPolicies } from './kept-reader.ts';
export { type WriteLayerOptions, writeLayer } from './layer-writer.ts';
export { DEFAULT_MAX_LAYER, imageTree, type LayersOptions } from './layers.ts';
export { LayoutDirectory } from './layout.ts';
export {
  formatLocation,
  type ImageLocation,
  layoutAt,
  parseLocation,
} from './location.ts';
export {
  type OpenedReader,
  type OpenedWriter,
  openReader,
  openWriter,
  type Surroundings,
  storeName,
} from './open.ts';
export { openBlob } from './open-blob.ts';
export {
  defaultChunkings,
  type Plan,
  type PlanOptions,
  type PlanReport,
  planImages,
} from './plan/plan-images.ts';
export type { Compressor, Estimate } from './plan/sample.ts';
export { Registries, type RegistriesOptions } from './registries.ts';
export { type Place, RegistriesConfiguration } from './registries-conf.ts';
export { type LayerSink, type StagedLayer, Staging, type WrittenLayer } from './staging.ts';
export { ImageStore, type StoredImage } from './store.ts';
export { hasToc, tocIndex } from './toc-index.ts';
export { decodeZstdPart } from './zstd-chunked.ts';
