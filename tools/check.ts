// `npm run check`: format and lint, types, the layer law, unused code. Runs all, then reports.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const bin = join(import.meta.dirname, '../node_modules/.bin');
const checks: readonly (readonly [string, readonly string[]])[] = [
  ['format and lint', [join(bin, 'biome'), 'check', '--error-on-warnings', '.']],
  ['types', [join(bin, 'tsc'), '-p', '.']],
  ['npm lock', [process.execPath, join(import.meta.dirname, 'lock.ts')]],
  ['layer law', [process.execPath, join(import.meta.dirname, 'layers.ts')]],
  ['unused code', [join(bin, 'knip'), '--no-progress', '--no-config-hints']],
];

const failed: string[] = [];
for (const [name, [program, ...args]] of checks) {
  console.log(`check: ${name}`);
  const { status } = spawnSync(program!, args, { stdio: 'inherit' });
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) console.error(`check failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
