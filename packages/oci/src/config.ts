import { type Digest, isDigest } from './digest.ts';
import { parseJson } from './json.ts';
import { type Platform, readPlatform } from './platform.ts';

/** How commands of an image run, as its maker wished (OCI image-spec, config.md, "config"). */
export interface Execution {
  readonly user?: string;
  /** `NAME=value`, as written. */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDirectory?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal?: string;
}

/** An image's configuration. */
export interface ImageConfig {
  readonly platform: Platform;
  readonly created?: string;
  readonly author?: string;
  readonly execution: Execution;
  /** Digests of the layers, decompressed, the lowest first. */
  readonly diffIds: readonly Digest[];
  /** The document with what is not known here: what changes are made to. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Bytes of a configuration at most. */
export const MAX_CONFIG = 8 * 1024 * 1024;

/** @throws OciError `OCI_BAD_CONFIG` */
export function parseConfig(bytes: Uint8Array): ImageConfig {
  const json = parseJson(bytes, { what: "the image's configuration", code: 'OCI_BAD_CONFIG' });
  const execution = json.optionalObject('config');
  const diffIds = json.optionalObject('rootfs')?.strings('diff_ids') ?? [];
  if (!diffIds.every(isDigest)) throw json.wrong('rootfs', 'a list of what are no digests');
  const created = json.optionalString('created');
  const author = json.optionalString('author');
  const user = execution?.optionalString('User');
  const workingDirectory = execution?.optionalString('WorkingDir');
  const stopSignal = execution?.optionalString('StopSignal');
  return {
    platform: readPlatform(json),
    ...(created !== undefined && { created }),
    ...(author !== undefined && { author }),
    execution: {
      env: execution?.strings('Env') ?? [],
      entrypoint: execution?.strings('Entrypoint') ?? [],
      cmd: execution?.strings('Cmd') ?? [],
      labels: execution?.texts('Labels') ?? {},
      ...(user !== undefined && { user }),
      ...(workingDirectory !== undefined && { workingDirectory }),
      ...(stopSignal !== undefined && { stopSignal }),
    },
    diffIds,
    raw: json.raw,
  };
}
