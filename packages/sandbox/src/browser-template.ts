import { SandboxError } from './errors.ts';
import type { PrepareOptions } from './prepare.ts';
import { prepare } from './prepare.ts';
import { Sandbox } from './sandbox.ts';
import { templateFor } from './template-file.ts';

/** Files of this computer from which a page can start a sandbox. */
export interface BrowserFiles {
  /** An EROFS image. */
  readonly image: string;
  /** A machine that waits for its first command. */
  readonly template: string;
  readonly hostname: string;
}

export interface BrowserFilesOptions extends PrepareOptions {
  /** Memory of the guest in MiB. Default 256. */
  readonly memoryMiB?: number;
}

/**
 * Makes or finds what `@anole/sandbox/browser` starts from. The machine boots here, once.
 *
 * @throws SandboxError `SANDBOX_BAD_IMAGE` for an image that is no EROFS image
 */
export async function browserFiles(
  image: string,
  options: BrowserFilesOptions = {},
): Promise<BrowserFiles> {
  const memoryMiB = options.memoryMiB ?? 256;
  await (await Sandbox.create(image, { ...options, memoryMiB, terminals: 1 })).close();
  const { root, hostname, boot } = await prepare(image, options);
  if (root.kind !== 'erofs') {
    throw new SandboxError('SANDBOX_BAD_IMAGE', `Cannot offer ${image} to a page`, {
      hint: 'Make an EROFS image of it: anole fs mk',
    });
  }
  const shape = { memoryMiB, cpus: 1, terminals: 1, volumes: [] };
  const { path } = await templateFor(boot, shape, options);
  return { image: root.path, template: path, hostname };
}
