import { formatIpv4, guestNetwork, hostName } from '@anole/net';
import type { WritableTree } from '@anole/vfs';

/** Tells an image's programs of the name server, in the place of what the image says. */
export async function prepareNames(tree: WritableTree): Promise<void> {
  const owner = { uid: 0, gid: 0 };
  const etc =
    (await tree.root.lookup('etc')) ??
    (await tree.root.create('etc', { type: 'directory', mode: 0o755, ...owner }));
  if (etc.stat.type !== 'directory') return;
  const there = await etc.lookup('resolv.conf');
  if (there?.stat.type === 'directory') return;
  if (there !== undefined) await etc.unlink('resolv.conf');
  const file = await etc.create('resolv.conf', { type: 'file', mode: 0o644, ...owner });
  const text = `# ${hostName} is the computer that this sandbox runs on.\nnameserver ${formatIpv4(guestNetwork.dns)}\n`;
  await file.write(0, new TextEncoder().encode(text));
}
