import { maxPayload } from './agent/wire.ts';
import { rehearsePayload } from './client/spawn-payload.ts';
import type { Rehearsal } from './engine/messages.ts';
import type { Parts } from './prepare.ts';
import { templateFor } from './template-file.ts';

/**
 * What runs once in each image before its sandboxes do: a shell, and a small program that it starts. The
 * first command finds the loader, the C library and its locale in memory then.
 */
const commands = [['sh', '-c', 'exec env echo'], ['echo']];

/**
 * The rehearsal of an image; undefined where it is not a file whose content stays, or has so many variables that a
 * frame does not hold them once for each command.
 */
export async function rehearsalFor(
  { root, environment }: Pick<Parts, 'root' | 'environment'>,
  [files, shape, options]: readonly [...Parameters<typeof templateFor>],
): Promise<Rehearsal | undefined> {
  if (root.kind !== 'erofs') return undefined;
  const requests = commands.map((argv) => ({ argv, env: environment, cwd: '/', stdin: false }));
  const payload = rehearsePayload(requests);
  if (payload.length > maxPayload) return undefined;
  const of = { image: root.path, requests };
  return { payload, template: await templateFor(files, shape, options, of) };
}
