// The lock of npm names what every platform needs. `npm install` leaves out of it the optional
// packages that the registry at hand lacks, and `npm ci` then refuses the whole lock.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Locked {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const text = readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8');
const { packages } = JSON.parse(text) as { packages: Readonly<Record<string, Locked>> };
const wanted = Object.values(packages).flatMap((each) =>
  Object.keys(each.optionalDependencies ?? {}),
);
const missing = wanted.filter((name) => packages[`node_modules/${name}`] === undefined);
for (const name of missing) console.error(`package-lock.json lacks ${name}: npm ci will refuse it`);
process.exitCode = missing.length === 0 ? 0 : 1;
