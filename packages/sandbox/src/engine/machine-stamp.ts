import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let stamp: string | undefined;

/** Stands for the code of @anole/machine: names, sizes and times of its files. */
export function machineStamp(): string {
  if (stamp !== undefined) return stamp;
  const root = dirname(fileURLToPath(import.meta.resolve('@anole/machine')));
  const hash = createHash('sha256').update(root);
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    if (name.includes('.test.')) continue;
    const { size, mtimeMs } = statSync(join(root, name));
    hash.update(`${name}:${size}:${mtimeMs}\n`);
  }
  stamp = hash.digest('hex').slice(0, 32);
  return stamp;
}
