import type { Rootfs } from './rootfs.ts';
import type { AddedBlock } from './script.ts';

type Scope = 'system' | 'user';

/** Enables the units that debhelper's blocks enable, as `deb-systemd-helper enable` does. */
export async function enableUnits(rootfs: Rootfs, blocks: readonly AddedBlock[]): Promise<void> {
  for (const { lines } of blocks) {
    for (const line of lines) {
      const found = /deb-systemd-helper (--user )?enable '?([\w@.:\\-]+)'?/.exec(line);
      if (found) await enable(rootfs, found[2]!, found[1] ? 'user' : 'system', new Set());
    }
  }
}

/** [Install] of systemd.unit(5): WantedBy, RequiredBy, Alias and Also, as links below /etc. */
async function enable(
  rootfs: Rootfs,
  unit: string,
  scope: Scope,
  seen: Set<string>,
): Promise<void> {
  const path = `/usr/lib/systemd/${scope}/${unit}`;
  const text = await rootfs.text(path);
  if (text === undefined || seen.has(unit)) return;
  seen.add(unit);
  const links: string[] = [];
  const etc = `/etc/systemd/${scope}`;
  for (const [key, value] of installSection(text)) {
    const directory = directories[key];
    if (key === 'also') await enable(rootfs, value, scope, seen);
    else if (key === 'alias') links.push(`${etc}/${value}`);
    else if (directory) links.push(`${etc}/${value}.${directory}/${unit}`);
  }
  for (const link of links) {
    // The helper writes the name from before /usr was merged.
    if (rootfs.at(link) === undefined) rootfs.symlink(link, path.replace(/^\/usr/, ''));
    rootfs.write(`${states[scope]}${link.slice(etc.length)}`, '');
  }
  const list = links.map((link) => `${link}\n`).join('');
  if (links.length > 0) rootfs.write(`${states[scope]}/${unit}.dsh-also`, list);
}

/** Keys of [Install] and the directories beside a unit that their links lie in. */
const directories: Readonly<Record<string, string>> = { wantedby: 'wants', requiredby: 'requires' };
/** Where deb-systemd-helper remembers what it made, so that it knows what an administrator changed. */
const states = {
  system: '/var/lib/systemd/deb-systemd-helper-enabled',
  user: '/var/lib/systemd/deb-systemd-user-helper-enabled',
} as const;

function installSection(text: string): [string, string][] {
  const section = /^\[Install\]\n([^[]*)/m.exec(text)?.[1] ?? '';
  return section.split('\n').flatMap((line): [string, string][] => {
    const [key, values] = line.split('=', 2);
    if (values === undefined) return [];
    const words = values.trim().split(/\s+/).filter(Boolean);
    const names = words.filter((word) => /^[\w@.:\\-]+$/.test(word) && !word.startsWith('.'));
    return names.map((word) => [key!.trim().toLowerCase(), word]);
  });
}
