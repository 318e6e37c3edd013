import type { CallOptions } from '@anole/bytes';
import type { ImageConfig } from '../config.ts';
import { describe, type ImageWriter } from '../content.ts';
import { type Descriptor, encodeJson, encodeManifest, type Manifest } from '../manifest.ts';
import { mediaTypes } from '../media-types.ts';
import { piece } from './convert.ts';
import type { WrittenLayer } from './staging.ts';

/** Changes to how commands of an image run. What is absent stays; an empty list or text clears. */
export interface ConfigChange {
  /** Variables to set. */
  readonly env?: Readonly<Record<string, string>>;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly workingDirectory?: string;
  readonly user?: string;
  readonly stopSignal?: string;
  /** Labels to set. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface ChangeOptions extends CallOptions {
  /** Layers to put upon those that are there, the lowest first. */
  readonly layers?: readonly WrittenLayer[];
  readonly config?: ConfigChange;
  /** What was done, for the history. */
  readonly createdBy: string;
  /** When, in the form of RFC 3339. Default: as the image says. */
  readonly created?: string;
}

/** What is changed of an image. */
export interface ChangedImage {
  readonly manifest: Pick<Manifest, 'layers' | 'annotations'>;
  readonly config: Pick<ImageConfig, 'raw'>;
}

/**
 * Writes the manifest of an image with changes; the layers that stay must be at the target already.
 * Docker's manifests become those of OCI.
 *
 * @param image what is changed; a new image has no layers and a configuration of its platform
 */
export async function changeImage(
  image: ChangedImage,
  to: ImageWriter,
  tag: string | undefined,
  options: ChangeOptions,
): Promise<Descriptor> {
  const { layers = [], signal } = options;
  const call = signal ? { signal } : {};
  const config = encodeJson(changedConfig(image.config.raw, options));
  const configDescriptor = await describe(mediaTypes.config, config);
  await to.putBlob(configDescriptor, piece(config), call);
  const document = encodeManifest({
    kind: 'manifest',
    mediaType: mediaTypes.manifest,
    config: configDescriptor,
    layers: [...image.manifest.layers, ...layers.map(({ layer }) => layer)],
    ...(image.manifest.annotations && { annotations: image.manifest.annotations }),
  });
  const descriptor = await describe(mediaTypes.manifest, document);
  await to.putManifest(descriptor, document, tag, call);
  return descriptor;
}

function changedConfig(
  raw: Readonly<Record<string, unknown>>,
  { layers = [], config = {}, createdBy, created }: ChangeOptions,
): Record<string, unknown> {
  const rootfs = (raw['rootfs'] ?? {}) as { readonly diff_ids?: readonly string[] };
  const history = Array.isArray(raw['history']) ? raw['history'] : [];
  const step = { ...(created !== undefined && { created }), created_by: createdBy };
  const steps = layers.length === 0 ? [{ ...step, empty_layer: true }] : layers.map(() => step);
  return {
    ...raw,
    ...(created !== undefined && { created }),
    config: changedExecution((raw['config'] ?? {}) as Record<string, unknown>, config),
    rootfs: {
      type: 'layers',
      diff_ids: [...(rootfs.diff_ids ?? []), ...layers.map(({ diffId }) => diffId)],
    },
    history: [...history, ...steps],
  };
}

function changedExecution(
  there: Readonly<Record<string, unknown>>,
  change: ConfigChange,
): Record<string, unknown> {
  const changed: Record<string, unknown> = { ...there };
  const set = (name: string, value: unknown) => {
    const isEmpty = value === '' || (Array.isArray(value) && value.length === 0);
    if (isEmpty) delete changed[name];
    else if (value !== undefined) changed[name] = value;
  };
  set('User', change.user);
  set('Env', change.env && mergedEnv(there['Env'], change.env));
  set('Entrypoint', change.entrypoint);
  set('Cmd', change.cmd);
  set('WorkingDir', change.workingDirectory);
  set('StopSignal', change.stopSignal);
  if (change.labels) set('Labels', { ...(there['Labels'] as object | null), ...change.labels });
  return changed;
}

function mergedEnv(there: unknown, change: Readonly<Record<string, string>>): readonly string[] {
  const old = Array.isArray(there) ? (there as string[]) : [];
  const kept = old.filter((setting) => !Object.hasOwn(change, setting.split('=', 1)[0]!));
  return [...kept, ...Object.entries(change).map(([name, value]) => `${name}=${value}`)];
}
