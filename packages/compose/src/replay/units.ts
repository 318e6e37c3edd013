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
  const install = installSection(text);
  const etc = `/etc/systemd/${scope}`;
  const shared = { wantedby: 'wants', requiredby: 'requires' } as const;
  for (const [key, value] of install) {
    if (key === 'alias') link(rootfs, `${etc}/${value}`, path);
    else if (key === 'also') await enable(rootfs, value, scope, seen);
    else if (key === 'wantedby' || key === 'requiredby') {
      link(rootfs, `${etc}/${value}.${shared[key]}/${unit}`, path);
    }
  }
}

function link(rootfs: Rootfs, path: string, unit: string): void {
  if (/^[\w@.:\\/-]+$/.test(path) && rootfs.at(path) === undefined) {
    // The helper writes the name from before /usr was merged.
    rootfs.symlink(path, unit.replace(/^\/usr/, ''));
  }
}

function installSection(text: string): [string, string][] {
  const section = /^\[Install\]\n([^[]*)/m.exec(text)?.[1] ?? '';
  return section.split('\n').flatMap((line): [string, string][] => {
    const [key, values] = line.split('=', 2);
    if (values === undefined) return [];
    const words = values.trim().split(/\s+/).filter(Boolean);
    return words.map((word) => [key!.trim().toLowerCase(), word]);
  });
}
