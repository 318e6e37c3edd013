import type { CallOptions } from '@anole/bytes';
import {
  type Descriptor,
  findManifest,
  type Image,
  type ImageReader,
  OciError,
  openImage,
  type Platform,
  parsePlatform,
  readManifest,
  readNamed,
  selectPlatform,
} from '@anole/oci';
import {
  hasTransport,
  ImageStore,
  layoutAt,
  type OpenedReader,
  type OpenedWriter,
  openReader,
  openWriter,
  parseLocation,
  Registries,
} from '@anole/oci/node';
import type { CommandContext } from '../context.ts';

export interface RegistryFlags {
  readonly insecure?: boolean;
  readonly certDir?: string;
}

export interface PlatformFlags {
  readonly platform?: string;
}

/** What the verbs of images work with: registries, the store, held for as long as they work. */
export class Session implements AsyncDisposable {
  readonly registries: Registries;
  readonly store: ImageStore;
  readonly call: CallOptions;
  private readonly resources: AsyncDisposableStack;

  private constructor(
    registries: Registries,
    store: ImageStore,
    call: CallOptions,
    resources: AsyncDisposableStack,
  ) {
    this.registries = registries;
    this.store = store;
    this.call = call;
    this.resources = resources;
  }

  static async open(
    { signal, progress: onProgress }: CommandContext,
    { insecure, certDir }: RegistryFlags = {},
  ): Promise<Session> {
    await using resources = new AsyncDisposableStack();
    const registries = resources.use(
      await Registries.load({
        ...(insecure && { insecure }),
        ...(certDir !== undefined && { certificates: certDir }),
      }),
    );
    const store = new ImageStore();
    resources.use(await store.hold({ signal }));
    return new Session(registries, store, { signal, onProgress }, resources.move());
  }

  /** Opens where an image is read from; it is closed with the session. */
  async reader(text: string): Promise<OpenedReader> {
    const location = (hasTransport(text) ? undefined : await layoutAt(text)) ?? parseLocation(text);
    return this.resources.use(await openReader(location, this, this.call));
  }

  async writer(text: string): Promise<OpenedWriter> {
    return this.resources.use(await openWriter(parseLocation(text), this, this.call));
  }

  /** Opens the image that a user named, of the platform that is wanted or fits best. */
  async image(text: string, flags: PlatformFlags): Promise<Image & { readonly root: Descriptor }> {
    const { reader, selector } = await this.reader(text);
    const { descriptor: root } = await readNamed(reader, selector, this.call);
    const platform = await platformOf(reader, root, flags, this.call);
    return { ...(await openImage(reader, root, platform, this.call)), root };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.resources.disposeAsync();
  }
}

const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** Of this computer. */
export function platformHere(): Platform {
  return parsePlatform(`linux/${names[process.arch] ?? process.arch}`);
}

/**
 * The platform that is meant: what the user says; else what `anole run` runs, linux/riscv64, where
 * the image is there for it; else this computer's. Of an index that has variants only, those are meant.
 */
export async function platformOf(
  reader: ImageReader,
  root: Descriptor,
  { platform }: PlatformFlags,
  call: CallOptions,
): Promise<Platform> {
  if (platform !== undefined) return parsePlatform(platform);
  const ours = parsePlatform('linux/riscv64');
  const { content } = await readManifest(reader, root, call);
  if (content.kind === 'manifest') return ours;
  const here = platformHere();
  const features: string[] = [];
  for (const plain of [ours, here, ours, here]) {
    const wanted = features.length === 0 ? plain : { ...plain, features };
    try {
      await findManifest(reader, root, wanted, call);
      return wanted;
    } catch (error) {
      if (!(error instanceof OciError) || error.code !== 'OCI_NO_PLATFORM') throw error;
      if (plain === here) features.push(...featuresIn(error));
    }
  }
  selectPlatform(content, here);
  return here;
}

/** What readers must understand of the images that there are. */
function featuresIn({ details }: OciError): readonly string[] {
  const platforms = (details['platforms'] ?? []) as readonly string[];
  return platforms.flatMap((text) => parsePlatform(text).features ?? []);
}
