import type { Rootfs } from './rootfs.ts';
import { literalWords } from './script.ts';

/** One link of a group: `/usr/bin/awk` is the link, `awk` its name, `/usr/bin/mawk` what it leads to. */
export interface AlternativeLink {
  readonly link: string;
  readonly name: string;
  readonly path: string;
}

/** What one `update-alternatives --install` offers. update-alternatives(1). */
export interface Alternative extends AlternativeLink {
  readonly priority: number;
  readonly slaves: readonly AlternativeLink[];
}

/**
 * Reads `update-alternatives --install LINK NAME PATH PRIORITY [--slave LINK NAME PATH]…`.
 * Undefined for other commands, and where a shell is needed to know the words.
 */
export function parseAlternative(line: string): Alternative | undefined {
  if (!line.startsWith('update-alternatives ')) return undefined;
  const words = literalWords(line)?.filter((word) => word !== '--quiet');
  if (words?.[1] !== '--install' || words.length < 6) return undefined;
  const [link, name, path, priority] = words.slice(2) as [string, string, string, string];
  const slaves: AlternativeLink[] = [];
  for (let at = 6; at < words.length; at += 4) {
    const [option, slaveLink, slaveName, slavePath] = words.slice(at);
    if (option !== '--slave' || slavePath === undefined) return undefined;
    slaves.push({ link: slaveLink!, name: slaveName!, path: slavePath });
  }
  if (!/^-?\d{1,9}$/.test(priority)) return undefined;
  return { link, name, path, priority: Number(priority), slaves };
}

const LINKS = '/etc/alternatives';
const STATE = '/var/lib/dpkg/alternatives';

/**
 * Sets up /etc/alternatives and dpkg's record of it. Of each group the alternative with the highest
 * priority is chosen, of equal ones the first, as update-alternatives does in automatic mode.
 * Alternatives whose file the image leaves out are passed over.
 */
export function installAlternatives(rootfs: Rootfs, all: readonly Alternative[]): void {
  const groups = new Map<string, Alternative[]>();
  for (const alternative of all) {
    if (!rootfs.exists(alternative.path)) continue;
    const group = groups.get(alternative.name) ?? [];
    // The same path again replaces what it said before.
    const others = group.filter((other) => other.path !== alternative.path);
    groups.set(alternative.name, [...others, alternative]);
  }
  for (const name of [...groups.keys()].sort()) installGroup(rootfs, name, groups.get(name)!);
}

function installGroup(rootfs: Rootfs, name: string, group: readonly Alternative[]): void {
  const best = group.reduce((a, b) => (b.priority > a.priority ? b : a));
  putLinks(rootfs, best);
  for (const slave of best.slaves) if (rootfs.exists(slave.path)) putLinks(rootfs, slave);
  rootfs.write(`${STATE}/${name}`, describeGroup(best, group));
}

function putLinks(rootfs: Rootfs, { link, name, path }: AlternativeLink): void {
  const parent = link.slice(0, link.lastIndexOf('/'));
  // A directory left out of the image (manual pages) stays out.
  if (!rootfs.isDirectory(parent)) return;
  const there = rootfs.at(link);
  if (there !== undefined && there.type !== 'symlink') return;
  rootfs.symlink(`${LINKS}/${name}`, path);
  rootfs.symlink(link, `${LINKS}/${name}`);
}

/**
 * The record of a group as update-alternatives keeps it: mode, link, slaves (name, link), an empty
 * line; then for each alternative path, priority, and a path or an empty line for each slave.
 */
function describeGroup(best: Alternative, group: readonly Alternative[]): string {
  const slaves = new Map<string, string>();
  for (const { slaves: own } of group) for (const { name, link } of own) slaves.set(name, link);
  const names = [...slaves.keys()].sort();
  const lines = ['auto', best.link];
  for (const name of names) lines.push(name, slaves.get(name)!);
  lines.push('');
  for (const choice of [...group].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    lines.push(choice.path, String(choice.priority));
    for (const name of names)
      lines.push(choice.slaves.find((slave) => slave.name === name)?.path ?? '');
  }
  return `${lines.join('\n')}\n\n`;
}
