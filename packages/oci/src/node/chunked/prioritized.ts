import type { Source } from '@anole/bytes';
import { memberOf, parseTarHeader, readTar, type TarMember } from '@anole/vfs';
import { OciError } from '../../errors.ts';
import { isOwnName } from '../../toc/chunked-toc.ts';

const BLOCK = 512;
/** `g`, of PAX. */
const GLOBAL = 0x67;
/** Rounds of looking for what hard links lead to at most. */
const MAX_ROUNDS = 16;

/**
 * The members of an archive that come first, in the order in which their paths are wanted, each behind the directories
 * on the way to it and, of a hard link, behind its file.
 */
export async function prioritizedMembers(
  archive: Source,
  paths: readonly string[],
): Promise<readonly TarMember[]> {
  const wanted = new Set(paths.flatMap((path) => [...parentsOf(path), path]));
  let found = new Map<string, TarMember[]>();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    found = await membersAt(archive, wanted);
    const before = wanted.size;
    for (const { type, target } of [...found.values()].flat()) {
      if (type !== 'hardlink') continue;
      for (const path of [...parentsOf(target), target]) wanted.add(path);
    }
    if (wanted.size === before) break;
  }
  const ordered = new Set<TarMember>();
  const seen = new Set<string>();
  const add = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const parent of parentsOf(path))
      for (const each of found.get(parent) ?? []) ordered.add(each);
    for (const member of found.get(path) ?? []) {
      if (member.type === 'hardlink') add(member.target);
      ordered.add(member);
    }
  };
  for (const path of paths)
    if (found.get(path)?.some(({ type }) => type !== 'directory')) add(path);
  return [...ordered];
}

async function membersAt(
  archive: Source,
  wanted: ReadonlySet<string>,
): Promise<Map<string, TarMember[]>> {
  const found = new Map<string, TarMember[]>();
  for await (const entry of readTar(archive)) {
    await refuseGlobal(archive, entry);
    if (!wanted.has(entry.path) || isOwnName(entry.path)) continue;
    const there = found.get(entry.path);
    if (there) there.push(memberOf(entry));
    else found.set(entry.path, [memberOf(entry)]);
  }
  return found;
}

/** What a header says of all that follow it does not stand a change of their order. */
async function refuseGlobal(archive: Source, entry: TarMember): Promise<void> {
  const { flag } = parseTarHeader(
    await archive.read(entry.headerOffset, BLOCK),
    entry.headerOffset,
  );
  if (flag !== GLOBAL) return;
  throw new OciError(
    'OCI_UNSUPPORTED',
    'Cannot put files of a layer first: it has headers that speak of all files behind them',
  );
}

function parentsOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('/'));
}
