import { spawnSync } from 'node:child_process';
import { decodeName } from '@anole/bytes';
import type { Stat } from '@anole/vfs';

/**
 * Makes a device or a fifo by mknod(1), for Node has no call. Undefined when it is made, else why it
 * is not. Permissions and owner are still to be set.
 */
export function makeSpecial(path: string | Buffer, stat: Stat): string | undefined {
  if (stat.type === 'socket') return 'sockets are made by those who listen on them';
  const name = typeof path === 'string' ? path : decodeName(path);
  if (!name.isWellFormed()) return 'its name cannot be given to mknod, since it is not UTF-8';
  const { status, stderr, error } = spawnSync('mknod', ['-m', '600', '--', name, ...kind(stat)], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (status === 0) return undefined;
  return error?.message ?? `mknod: ${stderr.trim().split(': ').at(-1)}`;
}

function kind({ type, rdev }: Stat): string[] {
  if (type === 'fifo') return ['p'];
  return [type === 'block' ? 'b' : 'c', String(rdev?.major ?? 0), String(rdev?.minor ?? 0)];
}
