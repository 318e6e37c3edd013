import type { ImageExecution } from '../container-image.ts';
import type { DirectoryVolume, ImageVolume, TreeSource } from '../engine/messages.ts';
import type { PublishedPort } from '../network/options.ts';
import { damaged } from './errors.ts';

/** A command that ran when the sandbox was saved. */
export interface RunningCommand {
  readonly id: number;
  readonly argv: readonly string[];
}

/** What a sandbox is beside its machine and its files. */
export interface About {
  /** Milliseconds since 1970. */
  readonly saved: number;
  /** As it was named when the sandbox was created. */
  readonly image: string;
  readonly hostname: string;
  /** Variables of every command. */
  readonly environment: Readonly<Record<string, string>>;
  readonly execution: ImageExecution;
  readonly maxProcesses: number;
  readonly cpuShare?: number;
  /** Milliseconds. */
  readonly lifetime?: number;
  /** Number of the next command. */
  readonly next: number;
  readonly commands: readonly RunningCommand[];
  /** What whoever saved it wanted to know again. */
  readonly labels: Readonly<Record<string, string>>;
}

/** An image as a volume, and what tells it from others: the guest's kernel holds much of it. */
export interface SavedImage extends ImageVolume {
  readonly fingerprint: string;
}

export type SavedVolume = DirectoryVolume | SavedImage;

/** What the host gave the sandbox. A file gives none of it by itself: decision 0113. */
export interface Grants {
  readonly volumes: readonly SavedVolume[];
  /** Absent: the machine has no network. */
  readonly network?: {
    readonly policy: {
      readonly public?: boolean;
      readonly allow?: readonly string[];
      readonly deny?: readonly string[];
    };
    readonly publish: readonly PublishedPort[];
    readonly dns: readonly string[];
  };
}

/** What a file says of the sandbox in it. */
export interface Description extends About, Grants {
  /** Where its image was, and what tells it from others: `fingerprint.ts`. */
  readonly root: TreeSource;
  readonly fingerprint: string;
  readonly memoryMiB: number;
  readonly cpus: number;
  readonly terminals: number;
  readonly maxWritten: number;
}

/**
 * Reads a description. What only reaches checks of options is not looked at here.
 *
 * @throws SandboxError `SANDBOX_FILE_DAMAGED`
 */
export function parseDescription(bytes: Uint8Array): Description {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw damaged('its description is no JSON', cause);
  }
  if (!isDescription(value)) throw damaged('its description makes no sense');
  return value;
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber: Check = (value) => typeof value === 'number' && value > 0;
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const object =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    const found = value as Readonly<Record<string, unknown>>;
    return Object.entries(fields).every(([name, check]) => check(found[name]));
  };
const texts = listOf(isText);

const imageKinds = ['erofs', 'tar', 'on-demand'] as const;
const isImage = object({
  path: isText,
  name: isText,
  image: object({ kind: oneOf(...imageKinds), path: isText }),
  fingerprint: isText,
});
const isDirectory = object({ path: isText, directory: isText, readOnly: oneOf(true, false) });
const isVolume: Check = (value) =>
  object({})(value) && ('image' in (value as object) ? isImage : isDirectory)(value);

const isTextMap: Check = (value) => object({})(value) && texts(Object.values(value as object));

const isWhole = object({
  saved: isCount,
  image: isText,
  hostname: isText,
  environment: isTextMap,
  execution: object({
    entrypoint: texts,
    cmd: texts,
    workingDirectory: optional(isText),
    digest: optional(isText),
    user: optional(isText),
  }),
  maxProcesses: isCount,
  cpuShare: optional(isNumber),
  lifetime: optional(isNumber),
  next: isCount,
  commands: listOf(object({ id: isCount, argv: texts })),
  labels: isTextMap,
  volumes: listOf(isVolume),
  network: optional(
    object({
      policy: object({
        public: optional(oneOf(true, false)),
        allow: optional(texts),
        deny: optional(texts),
      }),
      publish: listOf(object({ host: isText, port: isCount, guest: isCount })),
      dns: texts,
    }),
  ),
  root: object({ kind: oneOf(...imageKinds, 'directory'), path: isText }),
  fingerprint: isText,
  memoryMiB: isCount,
  cpus: isCount,
  terminals: isCount,
  maxWritten: isCount,
});

function isDescription(value: unknown): value is Description {
  return isWhole(value);
}
