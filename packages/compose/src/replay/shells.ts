import type { Rootfs } from './rootfs.ts';

const PACKAGED = '/usr/share/debianutils';

/** Does what update-shells(8) does: /etc/shells from what packages offer, by both names of /bin. */
export async function updateShells(rootfs: Rootfs): Promise<void> {
  const template = await rootfs.text(`${PACKAGED}/shells`);
  if (template === undefined) return;
  const texts = [template];
  for (const name of rootfs.list(`${PACKAGED}/shells.d`)) {
    texts.push((await rootfs.text(`${PACKAGED}/shells.d/${name}`)) ?? '');
  }
  const shells = new Set<string>();
  for (const line of texts.join('\n').split('\n')) {
    const shell = line.replace(/#.*/, '');
    if (!shell.startsWith('/')) continue;
    shells.add(shell);
    shells.add(withRealDirectory(rootfs, shell));
  }
  const etc = (await rootfs.text('/etc/shells')) ?? template;
  const there = new Set(etc.split('\n'));
  const missing = [...shells].filter((shell) => !there.has(shell));
  rootfs.write('/etc/shells', etc + missing.map((shell) => `${shell}\n`).join(''));
  rootfs.write('/var/lib/shells.state', [...shells].map((shell) => `${shell}\n`).join(''));
}

/** /bin/sh as /usr/bin/sh where /bin is a link to usr/bin. */
function withRealDirectory(rootfs: Rootfs, path: string): string {
  const [, top, rest] = /^\/([^/]+)(\/.*)$/.exec(path) ?? [];
  const node = rootfs.at(`/${top}`);
  return node?.type === 'symlink' ? `/${node.readLink().replace(/^\//, '')}${rest}` : path;
}
