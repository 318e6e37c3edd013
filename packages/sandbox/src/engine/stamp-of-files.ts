import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Stands for names, sizes and times of the files of a directory. A bundle of the command has that of @anole/machine,
 * since its files were looked at before it is used (tools/bundle.ts, which imports nothing of @anole).
 */
export function stampOfFiles(root: string): string {
  // Threads are told the stamp, and do without this.
  const { createHash } = process.getBuiltinModule('node:crypto');
  const hash = createHash('sha256').update(root);
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    if (name.includes('.test.')) continue;
    const { size, mtimeMs } = statSync(join(root, name));
    hash.update(`${name}:${size}:${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 32);
}
