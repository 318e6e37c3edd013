import { openFlags } from './system.ts';
import type { DropRequest } from './wire.ts';

/**
 * Makes the kernel drop what it holds of directories that the host changed: it asks again for a name that
 * was made or removed here. The server of the root does nothing when the first process asks for these
 * things, and only for these names. So the directory must be the very one that is meant: it is opened,
 * and compared, and reached by its descriptor from then on.
 */
export function drop(requests: readonly DropRequest[]): void {
  const [root] = os.stat('/');
  for (const { ino, directory, present, absent } of requests) {
    const fd = os.open(directory, openFlags.path | openFlags.directory | openFlags.noFollow);
    if (fd < 0) continue;
    const path = `/proc/self/fd/${fd}`;
    const [found] = os.stat(path);
    if (found !== null && found.ino === ino && found.dev === root?.dev) {
      for (const name of absent) os.mkdir(`${path}/${name}`);
      for (const name of present) os.remove(`${path}/${name}`);
      os.utimes(path, 0, 0);
    }
    os.close(fd);
  }
}
