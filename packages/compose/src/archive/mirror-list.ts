import type { Context } from './context.ts';
import { signalOf } from './context.ts';
import type { Mirror } from './mirror.ts';
import { fetchSmallFile } from './small-file.ts';

const largestList = 1 << 20;

/**
 * The mirror's base URIs; those of apt's mirror method (`mirror+file:/etc/apt/mirrors.txt`,
 * `mirror://host/list`, apt-transport-mirror(1)) are replaced by the URIs of their list.
 */
export async function basesOf(context: Context, mirror: Mirror): Promise<readonly string[]> {
  const bases: string[] = [];
  for (const uri of mirror.uris) {
    const list = listUri(uri);
    if (list === undefined) bases.push(uri.replace(/^copy:/, 'file:'));
    else bases.push(...(await readList(context, list)));
  }
  return bases;
}

function listUri(uri: string): string | undefined {
  if (uri.startsWith('mirror+')) return uri.slice('mirror+'.length);
  return uri.startsWith('mirror:') ? uri.replace(/^mirror:/, 'http:') : undefined;
}

async function readList(context: Context, uri: string): Promise<string[]> {
  const { network } = context.request;
  const { bytes } = await fetchSmallFile(context.client, uri, {
    limit: largestList,
    ...(network === undefined ? {} : { network }),
    ...signalOf(context.request),
  });
  return new TextDecoder()
    .decode(bytes)
    .split('\n')
    .map((line) => line.trim().split(/\s/)[0]!)
    .filter((entry) => /^(?:https?|file):/.test(entry))
    .map((entry) => (entry.endsWith('/') ? entry : `${entry}/`));
}
