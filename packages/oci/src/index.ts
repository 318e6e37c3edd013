/**
 * OCI images: names, manifests, configurations, registries, copying. Runs in browsers; what needs
 * files and sockets is `@anole/oci/node`.
 *
 * @example
 * import { fetchTransport, openImage, parsePlatform, RegistryClient, Repository } from '@anole/oci';
 * const client = new RegistryClient(host, new URL(`https://${host}`), { transport: fetchTransport() });
 * const repository = new Repository(client, { repository: 'team/web' });
 * const image = await openImage(repository, await repository.resolve('1.2'), parsePlatform('riscv64'));
 * console.log(image.config.execution.env);
 */
export { blobSource } from './blob-source.ts';
export { type Execution, type ImageConfig, MAX_CONFIG, parseConfig } from './config.ts';
export {
  type BlobOptions,
  blobsOf,
  describe,
  findManifest,
  gather,
  type Image,
  type ImageReader,
  type ImageWriter,
  isIndex,
  type ManifestDocument,
  manifestIn,
  type Origin,
  openImage,
  type PutOptions,
  type ReferrersOptions,
  readBlob,
  readConfig,
  readGraph,
  readManifest,
  readNamed,
} from './content.ts';
export { type CopyOptions, type CopyReport, copyImage } from './copy.ts';
export { checkDigest, type Digest, digestOf, isDigest, sha256Of, verifyDigest } from './digest.ts';
export { type Dmverity, dmverityAnnotations, dmverityOf } from './dmverity.ts';
export { type OciCode, OciError } from './errors.ts';
export { JsonObject, parseJson, type Subject } from './json.ts';
export {
  applyIndexedLayer,
  indexedLayerTree,
  type LayerIndex,
  type LayerParts,
  layerSpans,
  openIndexedLayer,
  type PartSpan,
} from './layer-index.ts';
export {
  type Descriptor,
  encodeJson,
  encodeManifest,
  type ImageIndex,
  MAX_MANIFEST,
  type Manifest,
  parseManifest,
  platformsOf,
  readDescriptor,
  selectPlatform,
} from './manifest.ts';
export {
  type Compression,
  isConfigType,
  isIndexType,
  isManifestType,
  layerCompression,
  layerCompressionOf,
  mediaTypes,
} from './media-types.ts';
export {
  hintAnnotations,
  hintsOf,
  type LayerRange,
  MAX_HINTS,
  type OnDemandHints,
} from './on-demand-hints.ts';
export { fitness, formatPlatform, type Platform, parsePlatform } from './platform.ts';
export {
  formatReference,
  isTag,
  isWhole,
  parseFullReference,
  parseReference,
  type Reference,
  type ShortReference,
  selectorOf,
  withTag,
} from './reference.ts';
export { type Challenge, parseChallenges } from './registry/challenge.ts';
export {
  type Call,
  type ClientOptions,
  DEFAULT_RETRIES,
  RegistryClient,
} from './registry/client.ts';
export type { CredentialProvider, Credentials } from './registry/credentials.ts';
export type { Documents, NamedDocument } from './registry/documents.ts';
export { Repository } from './registry/repository.ts';
export type { Patience } from './registry/retry.ts';
export {
  fetchTransport,
  type HttpAnswer,
  type HttpRequest,
  type HttpTransport,
} from './registry/transport.ts';
export {
  describeZtoc,
  indexManifest,
  isSociIndex,
  type SociVersion,
  soci,
  ztocsOf,
} from './soci/soci-index.ts';
export { encodeGzipZinfo, parseGzipZinfo } from './soci/zinfo.ts';
export { encodeZtoc, parseZtoc, type Ztoc } from './soci/ztoc.ts';
export { estargz, estargzIndex, isEstargz, isOfImage, membersOfImage } from './toc/estargz.ts';
export { isZstdChunked } from './toc/zstd-chunked.ts';
