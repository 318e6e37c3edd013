import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let stamp: string | undefined;

/** Stands for the code of @anole/machine: names, sizes and times of its files. */
export function machineStamp(): string {
  stamp ??=
    Reflect.get(globalThis, Symbol.for('anole.bundle'))?.machine ??
    stampOfFiles(dirname(fileURLToPath(import.meta.resolve('@anole/machine'))));
  return stamp!;
}

/** For a thread that shall not look for itself: what {@link machineStamp} says in the one that starts it. */
export function useMachineStamp(known: string): void {
  stamp = known;
}

/** A bundle of the command has it, since its files were looked at before it is used (tools/bundle.ts). */
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
